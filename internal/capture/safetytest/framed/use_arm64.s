#include "textflag.h"

TEXT ·use(SB), $16
	MOVD $12345, R29
	RET
