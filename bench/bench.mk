# bench/*.c become build/bench/*: one program per question about speed.
bench_programs := $(patsubst bench/%.c,$(out)/bench/%,$(wildcard bench/*.c))
bench_needs := augment model cpu common

$(bench_programs): $(out)/bench/%: $(out)/obj/bench/%.o $(call libraries,$(bench_needs))
	@mkdir -p $(@D)
	$(call quiet,ld ) $(CC) $(CFLAGS) $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDFLAGS) $(LDLIBS) -o $@

.PHONY: bench-programs
bench-programs: $(bench_programs) ## build the benchmark programs into build/bench/

.PHONY: bench
bench: ## measure against targets and PyTorch (QUICK=1: three minutes)
	@deploy/setup build runtime bench
	@$(MAKE) --no-print-directory -s build bench-programs
	@bench/run $(if $(filter-out 0,$(QUICK)),--quick)

.PHONY: faults
faults: build ## measure what faults cost: WHAT=heal, peers or soak
	@deploy/setup build runtime chaos
	@$(with_args) bench/faults $(call quote,$(or $(call given,WHAT),peers)) "$$@"

.PHONY: reproduce
reproduce: build ## train all networks (or NETS=quick), write docs/reproduced.md
	@deploy/setup build runtime reproduce
	@$(with_args) bench/reproduce $(if $(strip $(SEEDS)),--seeds $(call quote,$(call given,SEEDS))) $(call option,list,LIST) \
	  $(call option,out,OUT) $(foreach net,$(call given,NETS),$(call quote,$(net))) \
	  -- $(call option,device,DEVICE) $(call option,precision,PRECISION) $(call option,data,DATA) \
	  $(call option,loaders,LOADERS) $(call option,augmenters,AUGMENTERS) "$$@"

.PHONY: gpu-check
gpu-check: ## check and measure the CUDA engine here (QUICK=1, SANITIZE=1)
	@$(MAKE) --no-print-directory -s build bench-programs $(out)/tests/conformance CUDA=1
	@bench/gpu-check $(if $(filter-out 0,$(QUICK)),--quick) $(if $(filter-out 0,$(SANITIZE)),--sanitize)
