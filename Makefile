# digitsum: `make help` lists what can be made and which variables there are.
#
# One non-recursive Makefile. Each room is a static library; the rooms that are programs add a
# main.c. A variant (SAN, DEBUG) has its own folder under build/, so variants never mix.

# --- variables that people set ---------------------------------------------------------------
SAN ?=#          address or 1 = ASan + UBSan, thread = TSan: build/<variant>/
DEBUG ?=#        1 = no optimisation, for a debugger
WERROR ?= 1#     0 = warnings do not stop the build
V ?=#            1 = show whole commands

DEPS ?=#         folder of Debian packages unpacked by dpkg -x, without root
# --- of run-pipeline (all optional; build/bin/pipeline --help tells more) ---
RUN ?=#          name of the run, of runs/<name>/ (default: network and time)
NET ?=#          network: a name in model/nets, or a file
RECIPE ?=#       training settings: a file, or a recipe beside the network, as fast
SEED ?=#         the number that all random choices follow from
EPOCHS ?=#       how long to train, in passes over the data
STEPS ?=#        the same, in batches
UNTIL ?=#        stop early, for example digit=99.0,sum=99.0
DEVICE ?=#       auto, cuda or cpu
PRECISION ?=#    auto, f32, tf32 or bf16
DATA ?=#         auto, mnist, synthetic, a path, or idx: png: csv: npz: and a path
HOLD_OUT ?=#     score N training images, not trained on, in place of the test set
TRANSPOSE ?=#    1 = turn every image, rows to columns, as EMNIST's files need
LOADERS ?=#      how many loaders (1)
AUGMENTERS ?=#   how many augmenters (2)
RESUME ?=#       1 = go on with the run named RUN
OTHER_BITS ?=#   1 = go on even where threads, instructions or library differ
FORCE ?=#        1 = throw away an older run of that name
KEEP_GOING ?=#   1 = train on when the loss is not a number or has exploded
ARGS ?=#         any other options of build/bin/pipeline
# --- of test ---
TESTS ?=#        only these folders of tests/, for example TESTS='common trainer'
ISA ?= AVX2#      of test-isa: what oneDNN may use, AVX2 or SSE41
RELEASES ?= bookworm trixie# of fresh-check: releases of Debian
# --- of reproduce ---
NETS ?=#         only these, as 'quick plain7:fast' (all in bench/reproduce.ini)
SEEDS ?=#        these seeds, for example SEEDS='1 2 3'
LIST ?=#         what to train, for example LIST=bench/heads.ini OUT=docs/heads.md
OUT ?=#          where the table goes (docs/reproduced.md)
# --- of chaos, inject, powerloss and fuzz ---
N ?= 15#         scenarios of chaos (200: ten minutes), samples of the others
TIME ?= 60#      seconds for each target of make fuzz
WHAT ?=#         of make faults: heal (20 minutes), peers (6) or soak (30)
# --- of watch ---
JOIN ?=#         tcp://host:port or ipc://path; or RUN, the name of a run here

# A variable as it was given, on the command line or by the environment. make would expand a $ in it
# and its shell all the rest: so a $ stays what it is (and $$ is one $, as everywhere in make), and what
# goes into a command goes through `quote`. Only a newline cannot be given: it would end the command.
given = $(subst $$$$,$$,$(value $(1)))
quote = '$(subst ','\'',$(1))'
# Set for the rules below and not for what these start.
unexport RUN NET RECIPE UNTIL DATA ARGS JOIN NETS SEEDS LIST OUT
define newline


endef
$(foreach name,RUN NET RECIPE UNTIL DATA ARGS JOIN NETS SEEDS LIST OUT,$(if \
  $(findstring $(newline),$(value $(name))),$(error $(name) has a newline in it: nothing was done)))
# A name of the command line that is none of ours would change nothing, and nobody would know.
given_names := $(strip $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name))))
ifneq ($(given_names),)
known_names := $(shell sed -n 's/^\([A-Z][A-Z0-9_]*\) ?=.*/\1/p' Makefile cuda/cuda.mk) \
  QUICK SANITIZE CC CXX AR CPPFLAGS CFLAGS CXXFLAGS LDFLAGS LDLIBS SHELL MAKE MAKEFLAGS
ifneq ($(filter-out $(known_names),$(given_names)),)
$(shell deploy/known $(call quote,$(given_names)) $(call quote,$(known_names)) >&2)
$(error nothing was done)
endif
endif

override SAN := $(patsubst 1,address,$(strip $(SAN)))
variant := $(strip $(if $(SAN),san-$(SAN),$(if $(strip $(DEBUG)),debug,release)))
out := build/$(variant)
ifeq ($(variant),release)
out := build
endif

# What a rule shows: a word and the target, or with V=1 the command itself.
quiet = $(if $(filter-out 0,$(strip $(V))),,@echo '  $(1)  $@' &&)

# --- tools -----------------------------------------------------------------------------------
CC ?= cc
# What the compiler builds for, asked when it is needed: x86_64-linux-gnu as Debian spells it (a cross
# compiler and others know no such name: then the machine's), and x86_64 alone.
multiarch = $(eval multiarch := $(shell m=$$($(CC) -print-multiarch 2>/dev/null); echo "$${m:-$$($(CC) -dumpmachine)}"))$(multiarch)
processor = $(firstword $(subst -, ,$(multiarch)))
PKGS := libzmq libprotobuf-c libpng zlib libzip jansson libcrypto cairo
# What pkg-config says is kept in a file: asked once, and only after the packages are there. make
# reads its own file again when it has written this one.
ifneq ($(filter-out help clean format check check-% fresh-check arm64-check,$(or $(MAKECMDGOALS),build)),)
include build/packages.mk
endif
# What passes the door of an engine, as a number: program and shared object must agree on it.
door := -DENGINE_DOOR=$(shell cat model/engine.h model/optimizer.h model/graph.h common/batch.h common/error.h | cksum | cut -d' ' -f1)u
CPPFLAGS += -D_GNU_SOURCE -I. -I$(out)/gen $(packages_cflags) $(door) $(if $(SAN),-DNO_CLONES)
# Libraries that were unpacked rather than installed are found there now and when programs start.
ifneq ($(strip $(DEPS)),)
override DEPS := $(abspath $(DEPS))
deps_library := $(DEPS)/usr/lib/$(multiarch)
export PKG_CONFIG_SYSROOT_DIR := $(DEPS)
export PKG_CONFIG_PATH := $(deps_library)/pkgconfig:$(DEPS)/usr/share/pkgconfig
export LD_LIBRARY_PATH := $(deps_library):$(deps_library)/blas:$(deps_library)/lapack:$(LD_LIBRARY_PATH)
export PATH := $(DEPS)/usr/bin:$(PATH)
CPPFLAGS += -isystem $(DEPS)/usr/include
LDFLAGS += -L$(deps_library) -Wl,--disable-new-dtags -Wl,-rpath,$(deps_library) -Wl,-rpath-link,$(deps_library)
endif
# No contraction of a*b+c: results must not depend on which instruction set a clone was built for.
CFLAGS += -std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wvla -g \
          $(if $(filter-out 0,$(WERROR)),-Werror) -ffp-contract=off -fno-math-errno $(if $(filter fuzz,$(SAN)),,-fopenmp) \
          $(if $(strip $(DEBUG)),-O0,-O2 -ftree-vectorize) \
          $(if $(filter address,$(SAN)),-fsanitize=address$(,)undefined -fno-sanitize-recover=all -fno-omit-frame-pointer) \
          $(if $(filter thread,$(SAN)),-fsanitize=thread -fno-omit-frame-pointer) \
          $(if $(filter fuzz,$(SAN)),-fsanitize=fuzzer-no-link$(,)address$(,)undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
# What some files are compiled for beyond that. A whole file, since GCC lowers wide vectors by what
# the file is for, and since clang knows no pragma for it.
x86_flags = $(if $(filter x86_64,$(processor)),$(1))
$(out)/obj/cpu/loops_avx2.o: file_flags = $(call x86_flags,-mavx2 -mfma -mbmi2)
$(out)/obj/cpu/loops_avx512.o: file_flags = $(call x86_flags,-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mfma -mbmi2)
$(out)/obj/cpu/tiles.o: file_flags = $(call x86_flags,-mamx-tile -mamx-bf16 -mavx512f -mavx512bw -mavx512dq -mavx512vl)
# The pixel loops are gathers, which GCC 12 only makes of them with -O3.
$(out)/obj/augment/warp.o: file_flags = $(if $(strip $(DEBUG)),,-O3)
, := ,
LDLIBS += -Wl,--as-needed $(packages_libs) -ldnnl -lm -lpthread -ldl
# All processors, unless -j was given (then the command line wins) or a make above us decides.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif

# --- rooms -----------------------------------------------------------------------------------
rooms := common loader augment model cpu trainer evaluator report verify deploy
programs := loader augment trainer evaluator report verify pipeline watch
# Where main() is; the rest of that room is a library.
$(foreach name,$(programs),$(eval $(name)_main := $(name)/main))
pipeline_main := deploy/pipeline
watch_main := deploy/watch
mains := $(foreach name,$(programs),$($(name)_main).c)
# What each program and each room's tests link, from the top down.
loader_needs := loader common
augment_needs := augment common
model_needs := model cpu common
cpu_needs := model cpu common
common_needs := common
trainer_needs := trainer model cpu common
evaluator_needs := evaluator model cpu common
report_needs := report common
verify_needs := verify loader augment model cpu common
deploy_needs := deploy common
pipeline_needs := deploy common
watch_needs := deploy common

protos := digitsum tensorboard
proto_source := $(foreach name,$(protos),$(out)/gen/proto/$(name).pb-c.c $(out)/gen/proto/$(name).pb-c.h)
room_sources = $(filter-out $(mains),$(wildcard $(1)/*.c))
room_objects = $(patsubst %.c,$(out)/obj/%.o,$(call room_sources,$(1)))
libraries = $(foreach room,$(1),$(out)/lib/lib$(room).a)
sources := $(foreach room,$(rooms),$(wildcard $(room)/*.c))
everything = $(shell git ls-files --cached --others --exclude-standard '*.c' '*.h' '*.cu' '*.cuh' '*.cpp' '*.hpp' 2>/dev/null)

.PHONY: all build run-pipeline watch verify report
all: build
build: $(programs:%=$(out)/bin/%) ## build the programs into build/bin/ (installs what is missing)

build/packages.mk: deploy/packages.txt deploy/setup
	@$(if $(strip $(DEPS)),:,deploy/setup build runtime)
	@mkdir -p build
	@echo "packages_cflags := $$(pkg-config --cflags $(PKGS))" > $@.part
	@echo "packages_libs := $$(pkg-config --libs $(PKGS))" >> $@.part
	@mv $@.part $@

# $(call option,name,VARIABLE) and $(call flag,name,VARIABLE): what the launcher is told.
option = $(if $(strip $(call given,$(2))),--$(1)=$(call quote,$(call given,$(2))))
flag = $(if $(filter-out 0 no off false,$(strip $(call given,$(2)))),--$(1))
# ARGS as words of the shell: "$$@" after this.
with_args = $(if $(strip $(call given,ARGS)),words=$$(deploy/words ARGS $(call quote,$(call given,ARGS))) && eval "set -- $$words" &&)
# The command that was typed, for the launcher to repeat: without the variables, and these.
make_command = make$(if $(subst /$(CURDIR)/,,/$(value PWD)/), -C $(call quote,$(CURDIR))) run-pipeline
make_given = $(foreach name,$(filter-out RUN RESUME FORCE,$(given_names)), $(name)=$(call quote,$(value $(name))))
# A resumed run knows its data: none is looked for unless DATA names some.
find_data = $(if $(strip $(call given,DATA)),1,$(if $(call flag,resume,RESUME),,1))
run-pipeline: build ## train, evaluate and report on this machine: the main job
	@$(with_args) $(if $(find_data),data=$$($(out)/bin/loader --find $(call option,data,DATA)) && { [ "$$data" != auto ] || data=; } &&) \
	DIGITSUM_MAKE=$(call quote,$(make_command)) DIGITSUM_MAKE_GIVEN=$(call quote,$(make_given)) \
	exec $(out)/bin/pipeline $(if $(find_data),$${data:+--data="$$data"}) $(call option,run,RUN) $(call option,net,NET) \
	  $(call option,recipe,RECIPE) $(call option,seed,SEED) $(call option,epochs,EPOCHS) \
	  $(call option,steps,STEPS) $(call option,until,UNTIL) $(call option,device,DEVICE) \
	  $(call option,precision,PRECISION) $(call option,hold-out,HOLD_OUT) $(call flag,transpose,TRANSPOSE) \
	  $(call option,loaders,LOADERS) $(call option,augmenters,AUGMENTERS) \
	  $(call flag,resume,RESUME) $(call flag,other-bits,OTHER_BITS) $(call flag,force,FORCE) \
	  $(call flag,keep-going,KEEP_GOING) "$$@"

# Without JOIN, a run of this folder by its name.
join_run = $(if $(strip $(call given,RUN)),--join=$(call quote,ipc://$(CURDIR)/runs/$(call given,RUN)/sockets/control))
watch: $(out)/bin/watch ## print the reports of a run: RUN=first, or JOIN=tcp://host:port
	@$(with_args) exec $(out)/bin/watch $(or $(call option,join,JOIN),$(join_run)) "$$@"

verify: $(out)/bin/verify ## make all batches of a run again and compare: RUN=first
	@$(with_args) exec $(out)/bin/verify $(if $(strip $(call given,RUN)),--run-dir=$(call quote,runs/$(call given,RUN))) $(call option,data,DATA) \
	  $(call option,hold-out,HOLD_OUT) $(call flag,transpose,TRANSPOSE) "$$@"

report: $(out)/bin/report ## draw the pictures of a run into its plots/: RUN=first
	@$(with_args) exec $(out)/bin/report $(if $(strip $(call given,RUN)),$(call quote,runs/$(call given,RUN))) "$$@"

$(out)/gen/proto/%.pb-c.c $(out)/gen/proto/%.pb-c.h: proto/%.proto
	@mkdir -p $(@D)
	$(call quiet,gen) protoc-c --c_out=$(out)/gen $<

# make must not take the generated header for an intermediate file and remove it.
.SECONDARY: $(proto_source)

# Generated code is held to the compiler's defaults only: it is not ours.
$(out)/obj/proto/%.o: $(out)/gen/proto/%.pb-c.c
	@mkdir -p $(@D)
	$(call quiet,cc ) $(CC) $(CPPFLAGS) -O2 -w -c $< -o $@

# The commit lies in a file that changes when it does, so that one object is built anew and no more.
commit := $(shell git ls-files --error-unmatch Makefile >/dev/null 2>&1 && git describe --always --dirty --exclude='*' --abbrev=12 2>/dev/null)
commit_file := $(out)/gen/commit
ifneq ($(or $(commit),unknown),$(shell cat $(commit_file) 2>/dev/null))
.PHONY: $(commit_file)
endif
$(commit_file):
	@mkdir -p $(@D)
	@echo '$(or $(commit),unknown)' > $@
$(out)/obj/common/build.o: CPPFLAGS += -DBUILD_COMMIT='"$(or $(commit),unknown)"'
$(out)/obj/common/build.o: $(commit_file)

$(out)/obj/%.o: %.c | $(proto_source)
	@mkdir -p $(@D)
	$(call quiet,cc ) $(CC) $(CPPFLAGS) $(CFLAGS) $(file_flags) -MMD -MP -c $< -o $@

define room_library
$(out)/lib/lib$(1).a: $(call room_objects,$(1)) $(if $(filter common,$(1)),$(protos:%=$(out)/obj/proto/%.o))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call quiet,ar ) $(AR) rcs $$@ $$^
endef
$(foreach room,$(rooms),$(eval $(call room_library,$(room))))

define program
$(out)/bin/$(1): $(out)/obj/$($(1)_main).o $(call libraries,$($(1)_needs))
	@mkdir -p $$(@D)
	$$(call quiet,ld ) $(CC) $(CFLAGS) $$< -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $(LDFLAGS) $(LDLIBS) -o $$@
endef
$(foreach name,$(programs),$(eval $(call program,$(name))))

include cuda/cuda.mk

# --- tests -----------------------------------------------------------------------------------
# tests/<room>/test_*.c become one Criterion program per folder, build/tests/<folder>.
tests_common_needs := common
tests_loader_needs := loader common
tests_augment_needs := augment common
tests_model_needs := model cpu common
tests_cpu_needs := model cpu common
tests_conformance_needs := model cpu common
tests_cuda_needs := model common
tests_plans_needs := model cpu common
tests_trainer_needs := trainer model cpu common
tests_evaluator_needs := evaluator model cpu common
tests_report_needs := report common
tests_verify_needs := verify loader augment model cpu common
tests_deploy_needs := deploy common
tests_e2e_needs := deploy model cpu common
test_wanted := $(or $(strip $(TESTS)),$(patsubst tests/%/,%,$(sort $(dir $(wildcard tests/*/test_*.c)))))
# Tests of the CUDA engine need the toolkit; what NVIDIA's own libraries do is not for sanitizers.
test_folders := $(filter-out $(if $(cuda_built),,cuda) $(if $(cuda_engine),,plans),$(test_wanted))
test_left_out := $(filter-out $(test_folders),$(test_wanted)) \
  $(and $(filter conformance,$(test_wanted)),$(if $(cuda_built),,conformance(emulated)) $(if $(cuda_engine),,conformance(cuda)))
test_reason := $(if $(cuda_built),this build is not for NVIDIA's libraries,there is no CUDA toolkit)
test_note := $(if $(strip $(test_left_out)),not run because $(test_reason): $(strip $(test_left_out)))
test_support := $(patsubst %.c,$(out)/obj/%.o,$(wildcard tests/support/*.c))
test_reference := $(patsubst %.c,$(out)/obj/%.o,$(wildcard tests/reference/*.c))

define test_program
$(out)/tests/$(1): $(patsubst %.c,$(out)/obj/%.o,$(wildcard tests/$(1)/*.c)) $(test_support) \
  $(if $(filter conformance,$(1)),$(test_reference)) $(call libraries,$(tests_$(1)_needs))
	@mkdir -p $$(@D)
	$$(call quiet,ld ) $(CC) $(CFLAGS) $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $(LDFLAGS) $(LDLIBS) $(if $(filter cuda,$(1)),-lstdc++) $(if $(filter plans,$(1)),$(cuda_link)) -lcriterion -o $$@
endef
$(foreach folder,$(test_folders),$(eval $(call test_program,$(folder))))
# What the choice of an engine opens in its tests: an engine of this version, one of another, and
# one whose steps never end.
test_plugins := $(addprefix $(out)/tests/plugin/,same_door.so other_door.so hanging.so)
$(out)/tests/model $(out)/tests/e2e: | $(test_plugins)
$(out)/tests/plugin/hanging.so: CPPFLAGS += -DPLUGIN_HANGS
$(out)/tests/plugin/other_door.so: CPPFLAGS += -DPLUGIN_DOOR='(ENGINE_DOOR+1)'
$(test_plugins): $(out)/tests/plugin/%.so: tests/model/plugin/engine.c
	@mkdir -p $(@D) $(out)/obj/tests
	$(call quiet,ld ) $(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -shared -MMD -MP -MT $@ -MF $(out)/obj/tests/$*.d $< -o $@
# The CUDA engine's own tests call its kernels and the emulated device directly.
$(out)/tests/cuda: $(cuda_objects) $(emulator_objects)
$(out)/tests/plans: $(out)/obj/pic/cuda/backend.o $(out)/obj/pic/cuda/conv_plan.o
$(out)/obj/tests/cuda/%.o $(out)/obj/tests/plans/%.o: CPPFLAGS += $(cuda_cppflags)

.PHONY: test test-isa tests check clean format check-format check-includes check-tour check-deploy help
test: ## build and run every test (SAN=1: under ASan and UBSan)
	@deploy/setup build runtime test
	@$(MAKE) --no-print-directory tests
	@TEST_NOTE="$(test_note)" $(test_filter) tests/run $(test_folders:%=$(out)/tests/%) $(test_engines)

# The conformance tests run once more for each way to have a CUDA engine; the sanitizers make the
# emulated one slow, so under them the tests that train for long are left to the other build.
test_filter := $(if $(SAN),TEST_FILTER='!(bits|whole|random_chains|training|engines|reference)/*')
test_engines := $(if $(and $(cuda_built),$(filter conformance,$(test_folders))), \
  $(out)/tests/conformance@emulated=$(emulated_engine) $(cuda_engine:%=$(out)/tests/conformance@cuda=%))
tests: $(if $(filter e2e,$(test_folders)),build) $(test_folders:%=$(out)/tests/%) \
  $(if $(test_engines),$(cuda_engine) $(emulated_engine)) ## build the tests without running them

# What a processor can do decides which kernels run, whether there is bf16, and what a run falls back
# to: the tests that depend on it, as where oneDNN may use no more than ISA.
test-isa: ## test as on processors that have no more than ISA=AVX2
	@deploy/setup build runtime test
	@$(MAKE) --no-print-directory tests TESTS='cpu conformance e2e'
	@TEST_FILTER='@(cpu*|loops|bits|differences|door|engines|random_chains|training|whole|conv|pipeline|processors|recovery)/*' \
	  ONEDNN_MAX_CPU_ISA=$(ISA) DNNL_MAX_CPU_ISA=$(ISA) tests/run \
	  $(addsuffix @$(ISA),$(addprefix $(out)/tests/,cpu conformance e2e))

check: check-format check-includes check-tour check-deploy ## check format, includes, documents, files for other machines

clean: ## remove everything that was built
	rm -rf build

format: ## let clang-format rewrite our sources
	@clang-format -i $(sort $(everything))

check-format:
	@clang-format --dry-run --Werror $(everything)

check-includes:
	@.ci/check-includes $(everything)

check-tour:
	@.ci/check-tour

# What needs the programs is left out where they are not built; make test does not leave it out.
check-deploy:
	@tests/deploy/check-files $(if $(wildcard $(out)/bin/evaluator),$(out)/bin)

# As root, with debootstrap, a quarter of an hour each; skipped with a line where that cannot be.
.PHONY: fresh-check
fresh-check: ## run the README's two commands on a new Debian: RELEASES=trixie
	@for release in $(RELEASES); do tests/deploy/fresh $$release || exit 1; done

.PHONY: arm64-check
arm64-check: ## build for arm64 and train a little under qemu
	@tests/deploy/arm64

help: ## this list
	@echo 'Targets: make run-pipeline'
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile bench/bench.mk tests/fuzz/fuzz.mk
	@echo
	@echo 'Variables: make run-pipeline NET=quick EPOCHS=3'
	@awk '/^# --- of/ { gsub(/^# --- | ---$$/, ""); print " " $$0 ":" } \
	  /^[A-Z_]+ \?=.*#/ { name = $$1; sub(/^[^#]*# */, ""); printf "  %-10s %s\n", name, $$0 }' Makefile cuda/cuda.mk

.PHONY: chaos
chaos: build ## disturb N real runs: the weights must come out the same
	@deploy/setup build runtime chaos
	@$(with_args) tests/chaos/run $(call option,count,N) $(call option,seed,SEED) "$$@"

# All, unless N was given.
some = $(if $(filter-out file,$(origin N)),$(call option,count,N))
.PHONY: inject powerloss
inject: build ## let file calls of real runs fail: 30 minutes (N=20: one)
	@deploy/setup build runtime inject
	@$(with_args) tests/inject/run $(some) $(call option,seed,SEED) "$$@"

powerloss: build ## go on from all that a power cut may leave: 5 minutes
	@deploy/setup build runtime inject
	@$(with_args) tests/powerloss/run $(some) $(call option,seed,SEED) "$$@"

include bench/bench.mk
include tests/fuzz/fuzz.mk

-include $(shell find $(out)/obj -name '*.d' 2>/dev/null)
