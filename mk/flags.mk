# Every compiler and linker flag, once.
# VARIANT picks a build folder and its extra flags: release (default), debug, asan, tsan, fuzz, cov.

VARIANT ?= release
BUILD   := build/$(VARIANT)
CC      := gcc

WARN := -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wpointer-arith -Wcast-qual -Wwrite-strings -Wformat=2 -Wundef \
	-Wswitch-enum -Wimplicit-fallthrough -Wdouble-promotion -Wconversion -Wno-sign-conversion -Werror
WARN_GCC   := -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wcast-align=strict -Wnull-dereference
WARN_CLANG := -Wcomma -Wconditional-uninitialized -Wassign-enum -fdouble-square-bracket-attributes

HARDEN := -fno-common -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
LDHARDEN := -pie -Wl,-z,relro,-z,now

CFLAGS_release := -O2 -g -D_FORTIFY_SOURCE=3 $(HARDEN)
CFLAGS_debug   := -O0 -g3 $(HARDEN)
CFLAGS_asan    := -O1 -g3 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all $(HARDEN)
CFLAGS_tsan    := -O1 -g3 -fsanitize=thread -Wno-tsan $(HARDEN)
CFLAGS_fuzz    := -O1 -g3 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
CFLAGS_cov     := -O0 -g3 --coverage $(HARDEN)
LDFLAGS_asan   := -fsanitize=address,undefined
LDFLAGS_tsan   := -fsanitize=thread
LDFLAGS_fuzz   := -fsanitize=fuzzer,address,undefined
LDFLAGS_cov    := --coverage

ifeq ($(VARIANT),fuzz)
CC := clang-14
WARN += $(WARN_CLANG)
LDHARDEN :=
else
WARN += $(WARN_GCC)
endif

# The oldest x86 that DPDK's headers accept; the relay dispatches to wider vectors at run time.
ARCHFLAGS := $(if $(filter x86_64,$(shell uname -m)),-march=x86-64-v2)

VERSION := $(shell cat VERSION)
CPPFLAGS := -D_GNU_SOURCE -I. -DDUPLEX_VERSION='"$(VERSION)"'
CFLAGS   := -std=gnu17 $(ARCHFLAGS) $(CFLAGS_$(VARIANT)) $(WARN)
LDFLAGS  := $(LDHARDEN) $(LDFLAGS_$(VARIANT))

# Headers of others come in as system headers, so that our warnings judge our code only.
pkg-cflags = $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(1)))
pkg-libs   = $(shell pkg-config --libs $(1))
