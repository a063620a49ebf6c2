#include "textflag.h"

TEXT ·use(SB), $16
	MOVQ $12345, BP
	RET
