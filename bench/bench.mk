# bench/*.c become build/bench/*: one program per question about speed.
bench_programs := $(patsubst bench/%.c,$(out)/bench/%,$(wildcard bench/*.c))
bench_needs := model cpu common

$(bench_programs): $(out)/bench/%: $(out)/obj/bench/%.o $(call libraries,$(bench_needs))
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDFLAGS) $(LDLIBS) -o $@

.PHONY: bench-programs
bench-programs: $(bench_programs) ## build the benchmark programs into build/bench/
