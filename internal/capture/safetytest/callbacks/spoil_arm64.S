	.text
	.globl callWithSpoiledFramePointer
callWithSpoiledFramePointer:
	stp x29, x30, [sp, #-16]!
	mov x29, #12345
	bl goBlock
	ldp x29, x30, [sp], #16
	ret
	.section .note.GNU-stack,"",%progbits
