/* The compiled XDP program, part of the binary: it cannot be missing, and it cannot be of another version. */
__asm__(".section .rodata.xdp, \"a\", @progbits\n"
	".balign 8\n"
	".globl xdp_object, xdp_object_end\n"
	".hidden xdp_object, xdp_object_end\n"
	"xdp_object:\n"
	".incbin \"" XDP_OBJECT "\"\n"
	"xdp_object_end:\n"
	".byte 0\n"
	".previous\n");
