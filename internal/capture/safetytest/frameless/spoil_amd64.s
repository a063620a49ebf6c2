#include "textflag.h"

TEXT ·spoil(SB), NOSPLIT, $0
	MOVQ $12345, BP
	RET
