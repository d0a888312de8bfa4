# SPDX-License-Identifier: GPL-2.0

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
MANDIR ?= $(PREFIX)/share/man
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
INSTALL ?= install

# Not ":=": asked only by what needs it, so that "make deps" works where no kernel is installed yet.
KDIR = $(shell scripts/kernel.sh build)

all: modules lib tools

modules:
	@test -n "$(KDIR)"
	+$(MAKE) -C $(KDIR) M=$(CURDIR) modules

lib:
	$(MAKE) -C userlib

tools: lib
	$(MAKE) -C tools

# No signature: the distribution's key is not here, and kbuild would only complain of that.
install: all
	$(MAKE) -C $(KDIR) M=$(CURDIR) INSTALL_MOD_PATH=$(DESTDIR) CONFIG_MODULE_SIG_ALL= modules_install
	$(MAKE) -C userlib install DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) LIBDIR=$(LIBDIR)
	$(MAKE) -C tools install DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) LIBDIR=$(LIBDIR)
	$(INSTALL) -D -m 644 uapi/linux/onload.h $(DESTDIR)$(PREFIX)/include/linux/onload.h
	for page in $(wildcard Documentation/man/*.[1-9]); do \
		$(INSTALL) -D -m 644 -t $(DESTDIR)$(MANDIR)/man$${page##*.} $$page || exit 1; \
	done
	$(INSTALL) -D -m 644 tools/onload.bash-completion $(DESTDIR)$(COMPLETIONDIR)/onload

deps:
	@scripts/deps.sh

# "all" by a second make: with -j it must not start before the packages are there, and must see the kernel they bring.
check: deps
	$(MAKE) all
	selftests/check.sh

# What the kernel's detector of data races says of us, at a fiftieth of the tests' size
check-kcsan: deps
	$(MAKE) all
	CHECK_KERNEL=kcsan CHECK_SCALE=$${CHECK_SCALE:-50} CHECK_ONLY="$${CHECK_ONLY:-api.sh stream.sh kill.sh hostile.sh}" \
		selftests/check.sh

# For as long as one likes, with new seeds: make soak MINUTES=10 [KERNEL=stock]
MINUTES ?= 10
KERNEL ?= debug
soak: deps
	$(MAKE) all
	$(MAKE) -s -C selftests all
	[ "$(KERNEL)" = stock ] || scripts/debug-kernel.sh build $(KERNEL)
	selftests/vm/run --kernel $(KERNEL) --timeout $$(($(MINUTES) * 60 + 900)) -- \
		env SOAK_MINUTES=$(MINUTES) $(if $(SEED),SOAK_SEED=$(SEED)) selftests/soak.sh

demo: deps
	$(MAKE) all
	selftests/demo.sh

bench: deps
	$(MAKE) all
	selftests/bench.sh

# On this processor, without module or guest: make bench-native [ARGS=-j]
bench-native: deps
	$(MAKE) lib
	$(MAKE) -s -C selftests/native bench
	build/native/bench $(ARGS)

# Ten minutes, once for each version of Debian's source and of selftests/vm/debug.config.
debug-kernel kcsan-kernel: deps
	scripts/debug-kernel.sh build $(@:-kernel=)

FUZZ_SECONDS ?= 60
fuzz: deps
	$(MAKE) -C selftests/native fuzz SECONDS=$(FUZZ_SECONDS)

style: deps
	scripts/style.sh

clean:
	-[ -z "$(KDIR)" ] || $(MAKE) -C $(KDIR) M=$(CURDIR) clean
	for dir in userlib tools selftests; do \
		[ ! -f $$dir/Makefile ] || $(MAKE) -C $$dir clean || exit 1; \
	done
	find build -mindepth 1 -maxdepth 1 ! -name debug-kernel -exec rm -rf {} + 2>/dev/null || :

distclean: clean
	rm -rf build

help:
	@echo 'make            module, library and tools (all)'
	@echo '  modules       net/af_onload.ko, for KDIR=$(KDIR)'
	@echo '  lib           userlib/libonload.so'
	@echo '  tools         the onload command and the benchmarks'
	@echo 'make install    with DESTDIR=, PREFIX=$(PREFIX); the module goes to the kernel of KDIR'
	@echo 'make deps       install the Debian packages that everything here needs (root)'
	@echo 'make check      all tests, in guests'
	@echo '  check-kcsan   some of them in a kernel that detects data races'
	@echo 'make demo       Redis, and how much of its data moves at user level; make bench counts instructions'
	@echo 'make bench-native'
	@echo '                wires against TCP over loopback on this processor; ARGS=-j: as JSON'
	@echo 'make soak       MINUTES=10 [KERNEL=stock] [SEED=n]: streams and deaths at random, in the debug kernel'
	@echo 'make fuzz       the fuzzer of user-level TCP, for FUZZ_SECONDS=$(FUZZ_SECONDS)'
	@echo 'make style      checkpatch, sparse, clang-format, cppcheck'
	@echo 'make debug-kernel, kcsan-kernel'
	@echo '                a kernel which checks itself, for selftests/vm/run --kernel debug'
	@echo 'make clean      all but those kernels; make distclean: all'

.PHONY: all modules lib tools install deps check check-kcsan soak fuzz demo bench bench-native debug-kernel kcsan-kernel style clean distclean help
