# tests/fuzz/<target>.c are libFuzzer targets, built with clang, ASan and UBSan into build/san-fuzz/:
# `make fuzz TIME=60` runs each so many seconds. What is found stays in tests/fuzz/found/<target>/
# and is run again each time, before anything else.
fuzz_targets := idx gzip png csv npz net recipe checkpoint record report events wire control worker evaluator
fuzz_programs := $(fuzz_targets:%=$(out)/fuzz/%)
fuzz_needs := trainer report evaluator augment loader model common
fuzz_shared := $(out)/obj/tests/fuzz/input.o

$(fuzz_programs): $(out)/fuzz/%: $(out)/obj/tests/fuzz/%.o $(fuzz_shared) $(call libraries,$(fuzz_needs))
	@mkdir -p $(@D)
	$(call quiet,ld ) $(CC) $(CFLAGS) -fsanitize=fuzzer $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDFLAGS) $(filter-out -ldnnl,$(LDLIBS)) -o $@

# What only some of them need, or have in the place of ours.
$(addprefix $(out)/fuzz/,worker evaluator): $(out)/obj/tests/fuzz/dialogue.o
$(out)/fuzz/report: $(out)/obj/tests/fuzz/chart.o

$(out)/fuzz/seeds: $(out)/obj/tests/fuzz/seeds.o $(out)/obj/tests/fuzz/seeds_messages.o $(call libraries,model common)
	@mkdir -p $(@D)
	$(call quiet,ld ) $(CC) $(CFLAGS) $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDFLAGS) $(filter-out -ldnnl,$(LDLIBS)) -o $@

.PHONY: fuzz fuzz-programs
fuzz-programs: $(fuzz_programs) $(out)/fuzz/seeds

fuzz: ## feed broken files and messages to the readers: TIME=60
	@deploy/setup build runtime fuzz
	@$(MAKE) --no-print-directory SAN=fuzz CC=clang WERROR=0 CUDA=0 fuzz-programs
	@tests/fuzz/run $(call quote,$(call given,TIME)) build/san-fuzz/fuzz $(fuzz_targets)
