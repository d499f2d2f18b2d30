# The CUDA engine: a shared object of its own, the only thing that links NVIDIA's libraries. The
# programs open it when they start (model/engine.c), so they run where none of these are.
#
#   build/lib/libdigitsum_cuda.so            the engine, where nvcc and the libraries are found
#   build/lib/emulated/libdigitsum_cuda.so   the same sources on an emulated device, for tests

# --- of the CUDA engine ---
CUDA ?= auto#          auto, 1 = must be built, 0 = left out
CUDA_HOME ?=#          the CUDA toolkit (else nvcc in PATH, or /usr/local/cuda)
CUDNN_HOME ?=#         folders of cuDNN 9.8 or newer, where it is not in the usual ones
CUDA_ARCHS ?= 80 90 100# compute capabilities, for example CUDA_ARCHS=90 for a quick build

cuda_wanted := $(filter-out 0,$(strip $(CUDA)))
nvcc := $(if $(cuda_wanted),$(firstword $(wildcard $(addsuffix /bin/nvcc,$(strip $(CUDA_HOME)))) \
          $(shell command -v nvcc 2>/dev/null) $(wildcard /usr/local/cuda/bin/nvcc)))
cuda_home := $(patsubst %/bin/nvcc,%,$(realpath $(nvcc)))
cuda_roots := $(strip $(abspath $(CUDNN_HOME)) $(cuda_home)) /usr
# NVIDIA calls the servers of arm64 sbsa.
cuda_target = $(if $(filter aarch64,$(processor)),sbsa,$(processor))-linux
cuda_folders = $(foreach root,$(cuda_roots),$(root)/lib64 $(root)/lib $(root)/targets/$(cuda_target)/lib $(root)/lib/$(multiarch))
# The library itself, since PyTorch's wheels bring libcudnn.so.9 without the link libcudnn.so.
cuda_find = $(firstword $(foreach folder,$(cuda_folders),$(wildcard $(folder)/lib$(1).so $(folder)/lib$(1).so.[0-9]*)))
cuda_libraries := $(if $(nvcc),$(foreach name,cudart cudnn cublasLt,$(call cuda_find,$(name))))
cuda_headers := $(foreach root,$(cuda_roots),$(wildcard $(root)/include/cudnn.h))
cuda_built := $(and $(nvcc),$(cuda_headers),$(filter 3,$(words $(cuda_libraries))))

ifeq ($(cuda_built),)
ifneq ($(filter 1,$(strip $(CUDA))),)
$(error CUDA=1, but nvcc, cuDNN or cuBLASLt is missing: nvcc '$(nvcc)', libraries '$(cuda_libraries)'; set CUDA_HOME and CUDNN_HOME)
endif
endif

ifneq ($(cuda_built),)
cuda_cppflags := -D_GNU_SOURCE -I. $(door) $(foreach root,$(cuda_roots),$(if $(wildcard $(root)/include/cudnn.h $(root)/include/cuda_runtime_api.h),$(if $(filter /usr,$(root)),,-isystem $(root)/include)))
cuda_sources := $(wildcard cuda/*.c) common/error.c model/layout.c model/links.c model/node.c
cuda_kernels := $(wildcard cuda/kernels/*.cu)
cuda_objects := $(cuda_sources:%.c=$(out)/obj/pic/%.o)
emulator_objects := $(cuda_kernels:%.cu=$(out)/obj/emulated/%.o) \
                    $(patsubst %.cpp,$(out)/obj/emulated/%.o,$(wildcard tests/emulator/*.cpp))
cuda_engine := $(if $(filter release,$(variant)),$(out)/lib/libdigitsum_cuda.so)
emulated_engine := $(out)/lib/emulated/libdigitsum_cuda.so
# The libraries by their paths, found again there when the program starts: cuDNN's folder first, for
# another one may have an older cuDNN.
cuda_places := $(dir $(filter %cudnn.so %cudnn.so.9,$(cuda_libraries)))
cuda_places += $(filter-out $(cuda_places),$(sort $(dir $(cuda_libraries))))
cuda_link := $(cuda_libraries) $(cuda_places:%=-Wl$(,)-rpath$(,)%)
cuda_newest := $(lastword $(CUDA_ARCHS))
cuda_codes := $(foreach arch,$(CUDA_ARCHS),-gencode arch=compute_$(arch),code=sm_$(arch)) \
              -gencode arch=compute_$(cuda_newest),code=compute_$(cuda_newest)
cuda_sanitize := $(filter -fsanitize=% -fno-sanitize-recover=% -fno-omit-frame-pointer,$(CFLAGS))

$(out)/obj/pic/%.o: %.c
	@mkdir -p $(@D)
	$(call quiet,cc ) $(CC) $(cuda_cppflags) $(CFLAGS) -fPIC -fvisibility=hidden -MMD -MP -c $< -o $@

$(out)/obj/cuda/kernels/%.cu.o: cuda/kernels/%.cu
	@mkdir -p $(@D)
	$(call quiet,nvc) $(nvcc) -std=c++17 -O3 $(cuda_codes) -I. --Werror all-warnings \
	  -Xcompiler -Wall,-Wextra,-Werror,-fPIC,-fvisibility=hidden -MMD -MP -MF $(@:.o=.d) -c $< -o $@

# Kernels as ordinary C++. Packs of values alias what they are read from, as on the device.
emulated_flags = -std=c++17 -DDIGITSUM_EMULATED='"tests/emulator/device.hpp"' $(cuda_cppflags) -O3 -g -Wall -Wextra -Werror \
                 -Wno-unknown-pragmas -Wno-maybe-uninitialized -Wno-uninitialized \
                 -fno-strict-aliasing -fPIC $(cuda_sanitize)
$(out)/obj/emulated/%.o: %.cu
	@mkdir -p $(@D)
	$(call quiet,c++) $(CXX) -x c++ $(emulated_flags) -MMD -MP -c $< -o $@
$(out)/obj/emulated/%.o: %.cpp
	@mkdir -p $(@D)
	$(call quiet,c++) $(CXX) $(emulated_flags) -MMD -MP -c $< -o $@

$(out)/lib/libdigitsum_cuda.so: $(cuda_objects) $(cuda_kernels:%.cu=$(out)/obj/%.cu.o)
	@mkdir -p $(@D)
	$(call quiet,ld ) $(CC) -shared -Wl,--no-undefined $^ $(cuda_link) -fopenmp -lstdc++ -lm -o $@

# Kernels that try the emulated device itself.
$(out)/tests/cuda: $(out)/obj/emulated/tests/emulator/probe.o

$(emulated_engine): $(cuda_objects) $(emulator_objects)
	@mkdir -p $(@D)
	$(call quiet,ld ) $(CC) -shared $(cuda_sanitize) $^ -fopenmp -lstdc++ -lm -o $@

build: $(cuda_engine)
else ifneq ($(cuda_wanted),)
build: no-cuda
.PHONY: no-cuda
no-cuda:
	@echo '  the CUDA engine is left out: nvcc, cuDNN 9 or cuBLASLt is missing (CUDA=0 silences this)'
endif
