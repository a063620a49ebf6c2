	.text
	.globl callWithSpoiledFramePointer
callWithSpoiledFramePointer:
	pushq %rbp
	movq $12345, %rbp
	call goBlock
	popq %rbp
	ret
	.section .note.GNU-stack,"",@progbits
