#include "textflag.h"

TEXT ·Spoil(SB), NOSPLIT, $0
	MOVQ $12345, BP
	RET
