/* The generator's compiled BPF programs, part of the binary. */
__asm__(".section .rodata.gen, \"a\", @progbits\n"
	".balign 8\n"
	".globl gen_object, gen_object_end\n"
	".hidden gen_object, gen_object_end\n"
	"gen_object:\n"
	".incbin \"" GEN_OBJECT "\"\n"
	"gen_object_end:\n"
	".byte 0\n"
	".previous\n");
