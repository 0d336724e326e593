# Assay. `make` builds build/assay; `make help` lists the rest. V=1 shows the commands.
VERSION := 0.1.0
CC      ?= cc
PREFIX  ?= /usr/local
BUILD   ?= build
Q       := $(if $(V),,@)
say      = @printf '  %-5s %s\n'

RECEIVER_PACKAGES := libmicrohttpd jansson nettle libzstd
PACKAGES := $(RECEIVER_PACKAGES) sqlite3 libpq libcurl yaml-0.1 libxml-2.0 libgit2 libjwt tree-sitter
WARN     := -Wall -Wextra -Wshadow -Wconversion -Wvla -Wstrict-prototypes
HARDEN   := -fPIE -fstack-protector-strong -fstack-clash-protection -fcf-protection -D_FORTIFY_SOURCE=2
OPTIMISE ?= -O2 -g
SANITIZE ?=
CPPFLAGS += -D_GNU_SOURCE -DASSAY_VERSION='"$(VERSION)"' -I. -I$(BUILD) $(shell pkg-config --cflags $(PACKAGES))
CFLAGS   += -std=gnu17 $(WARN) $(OPTIMISE) $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fPIE,$(HARDEN))
LDFLAGS  += -pie -Wl,-z,relro,-z,now,-z,noexecstack $(if $(SANITIZE),-fsanitize=$(SANITIZE))
LDLIBS   += $(shell pkg-config --libs $(PACKAGES)) -lm

# A folder is a library; libraries link in the direction in which folders may include each other.
FOLDERS   := app pipeline forge sandbox app/base
archive    = $(BUILD)/lib$(subst /,-,$1).a
objects    = $(patsubst %.c,$(BUILD)/%.o,$(wildcard $1/*.c))
LIBS_base      := app/base
LIBS_sandbox   := sandbox app/base
LIBS_forge     := forge app/base
LIBS_pipeline  := pipeline sandbox app/base
LIBS_app       := $(FOLDERS)
UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/*/test_*.c))
PROBE      := $(BUILD)/tests/probe/probe

RECEIVERS  := $(BUILD)/assay-receiver-sqlite $(BUILD)/assay-receiver-postgresql

all: $(BUILD)/assay

$(BUILD)/assay: $(BUILD)/app/main.o $(foreach f,$(FOLDERS),$(call archive,$f)) $(BUILD)/grammars.a | $(RECEIVERS)
	$(say) LD $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)

# They are looked for beside assay. No other library can slip in: what they link is named here.
.SECONDARY: $(RECEIVERS:$(BUILD)/assay-receiver-%=$(BUILD)/app/main_receiver_%.o)
$(BUILD)/assay-receiver-sqlite: RECEIVER_PACKAGES += sqlite3
$(BUILD)/assay-receiver-postgresql: RECEIVER_PACKAGES += libpq
$(BUILD)/assay-receiver-%: $(BUILD)/app/main_receiver_%.o $(foreach f,app forge app/base,$(call archive,$f))
	$(say) LD $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(shell pkg-config --libs $(RECEIVER_PACKAGES))

# main() stays out of the library, so that tests can link the rest.
define FOLDER_RULE
$(call archive,$1): $(filter-out $(BUILD)/app/main%.o,$(call objects,$1)) $(if $(filter app/base,$1),$(BUILD)/templates.o)
	$$(say) AR $$@
	$$(Q)rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call FOLDER_RULE,$f)))

$(BUILD)/%.o: %.c Makefile
	$(say) CC $<
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) -include app/base/banned.h $(CFLAGS) -MMD -MP -c -o $@ $<

# Text that people may reword (templates/) is embedded by one small tool.
$(BUILD)/embed: tools/embed.c
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu17 -D_GNU_SOURCE $(WARN) -O1 -o $@ $< -lnettle
$(BUILD)/templates.c: $(BUILD)/embed $(shell find templates -type f -o -type d 2>/dev/null)
	$(say) EMBED templates
	$(Q)$(BUILD)/embed templates > $@.tmp && mv $@.tmp $@
$(BUILD)/templates.o: $(BUILD)/templates.c
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

include grammars/grammars.mk

define UNIT_RULE
$(BUILD)/tests/unit/$1/%: tests/unit/$1/%.c $(foreach f,$(LIBS_$1),$(call archive,$f)) $(if $(filter pipeline app,$1),$(BUILD)/grammars.a)
	$$(say) TEST $$@
	$$(Q)mkdir -p $$(@D) && $$(CC) $$(CPPFLAGS) $$(CFLAGS) -MMD -MP $$(LDFLAGS) -o $$@ $$< -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $$(LDLIBS) -lcmocka $(if $(filter forge,$1),-lcrypto)
endef
$(foreach d,base sandbox forge pipeline app,$(eval $(call UNIT_RULE,$d)))

# Fuzz targets link everything; the benchmark only what it measures.
LINK_ALL = $(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP $(LDFLAGS) $(filter -f%,$1) -o $@ $< -Wl,--start-group $(sort $(filter %.a,$^ $1)) -Wl,--end-group $(LDLIBS)
libraries: $(foreach f,$(FOLDERS),$(call archive,$f)) $(BUILD)/grammars.a
$(BUILD)/tests/fuzz/%: tests/fuzz/%.c libraries
	$(call LINK_ALL,-fsanitize=fuzzer $(foreach f,$(FOLDERS),$(call archive,$f)) $(BUILD)/grammars.a)
$(BUILD)/tests/bench/%: tests/bench/%.c $(foreach f,$(FOLDERS),$(call archive,$f)) $(BUILD)/grammars.a
	$(call LINK_ALL)

$(PROBE): tests/probe/probe.c
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu17 -D_GNU_SOURCE $(WARN) -O1 -static -o $@ $<

# ---- tests, checks, benchmarks ----

test: unit flow
unit: $(UNIT_TESTS) $(PROBE) $(BUILD)/assay
	$(Q)tests/run packages && tests/unit/run $(BUILD)
flow: $(BUILD)/assay
	$(Q)ASSAY_BINARY=$(BUILD)/assay tests/run fake && ASSAY_BINARY=$(BUILD)/assay tests/run flow

SANITIZED = $(MAKE) BUILD=$(BUILD)-asan SANITIZE=address,undefined OPTIMISE='-O1 -g'
asan:
	$(Q)$(SANITIZED) unit
soak:
	$(Q)$(SANITIZED) all
	$(Q)ASSAY_BINARY=$(BUILD)-asan/assay tests/fault/run soak --seconds 120 --rest 20
fuzz:
	$(Q)tests/fuzz/run $(BUILD)-fuzz
bench: all $(PROBE) $(BUILD)/tests/bench/sandbox $(BUILD)/tests/bench/jobs
	$(Q)$(BUILD)/tests/bench/sandbox
	$(Q)$(BUILD)/tests/bench/jobs
	$(Q)tests/bench/run receiver $(abspath $(BUILD)/assay)
lint:
	$(Q)tools/lint

demo: all
	$(Q)ASSAY_BINARY=$(abspath $(BUILD)/assay) sh deploy/demo

install: all
	install -Dm755 -t $(DESTDIR)$(PREFIX)/bin $(BUILD)/assay $(RECEIVERS)
	install -Dm644 deploy/assay.service $(DESTDIR)$(PREFIX)/lib/systemd/system/assay.service
	install -Dm644 deploy/assay.socket $(DESTDIR)$(PREFIX)/lib/systemd/system/assay.socket
	install -Dm644 deploy/assay.example.yml $(DESTDIR)$(PREFIX)/share/doc/assay/assay.example.yml
	install -Dm644 deploy/python-tools.txt $(DESTDIR)$(PREFIX)/share/assay/python-tools.txt
	install -Dm755 deploy/bootstrap $(DESTDIR)$(PREFIX)/share/assay/bootstrap

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-fuzz

help:
	@echo 'make [all]    build $(BUILD)/assay'
	@echo 'make test     unit and flow tests          make asan   unit tests under ASan and UBSan'
	@echo 'make soak     two minutes of traffic and faults under ASan and UBSan'
	@echo 'make lint     clang-tidy, clang-format, include directions'
	@echo 'make demo     the main job on the bundled example repository'
	@echo 'make bench    benchmarks                   make fuzz   each fuzz target for a short time'
	@echo 'make install  DESTDIR, PREFIX ($(PREFIX))   make clean'


.PHONY: all libraries test unit flow asan soak fuzz bench lint demo install clean help
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.DELETE_ON_ERROR:
