/* What NVIDIA's real cuDNN says of our convolutions, without a device: it plans for the properties
 * of one that are written down here. The emulated cuDNN shows that our calls mean what they should;
 * this shows that the library has engines for them, on each generation that we build for, that give
 * the same bits each time. Graphs with bias, relu or mask in the same kernel need a driver, since
 * they are compiled when they are planned, so only products alone are asked for: what the engine
 * falls back on. */
#include "cuda/conv_plan.h"
#include "model/links.h"
#include "model/net.h"

#include <criterion/criterion.h>

/* As cuDNN itself writes them (CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION); figures from NVIDIA's
 * data sheets. What all three share is in COMMON. */
#define COMMON                                                                                     \
    "\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],"                    \
    "\"regsPerBlock\":65536,\"warpSize\":32,\"maxSharedMemoryPerBlock\":49152,"                    \
    "\"reservedSharedMemoryPerBlock\":1024,\"maxRegistersPerSM\":65536,\"maxCtasPerSM\":32,"       \
    "\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":2048,\"pciDeviceId\":0,\"isTccDriver\":0,"    \
    "\"supportCoopLaunch\":1,\"cudaDeviceId\":0,\"driverVer\":13000,"

static const char a100[] =
    "{\"deviceName\":\"A100\"," COMMON "\"deviceVer\":800,\"multiProcessorCount\":108,"
    "\"maxSharedMemoryPerBlockOptin\":166912,\"totalGlobalMem\":42000000000,"
    "\"smClockRateKHz\":1410000,\"memClockRateKHz\":1215000,\"l2CacheSize\":41943040}";
static const char h200[] =
    "{\"deviceName\":\"H200\"," COMMON "\"deviceVer\":900,\"multiProcessorCount\":132,"
    "\"maxSharedMemoryPerBlockOptin\":232448,\"totalGlobalMem\":150000000000,"
    "\"smClockRateKHz\":1980000,\"memClockRateKHz\":3201000,\"l2CacheSize\":62914560}";
static const char b200[] =
    "{\"deviceName\":\"B200\"," COMMON "\"deviceVer\":1000,\"multiProcessorCount\":148,"
    "\"maxSharedMemoryPerBlockOptin\":232448,\"totalGlobalMem\":190000000000,"
    "\"smClockRateKHz\":1965000,\"memClockRateKHz\":3996000,\"l2CacheSize\":132120576}";

static int plan_conv(const struct net *net, const struct node *node,
                     const struct conv_problem *with, cudnnBackendDescriptor_t properties) {
    struct conv_problem problem = *with;
    struct conv_plan plan;
    struct error error = {0};
    problem.in = net->nodes[node->inputs[0]].shape;
    problem.out = node->shape;
    problem.kernel = node->conv.kernel;
    problem.stride = node->conv.stride;
    problem.padding = node->conv.padding;
    int status = conv_plan_create(&plan, &problem, properties, node->name, &error);
    cr_expect_eq(status, 0, "%s of %s, batch %d, %s, pass %d: %s", node->name, net->name,
                 problem.batch, problem.type == ELEMENT_BF16 ? "bf16" : "f32", (int)problem.pass,
                 error.text);
    if (status == 0)
        conv_plan_destroy(&plan);
    return status;
}

/* Every convolution of every network that ships, forward and both gradients. */
static void plan_all(const char *json) {
    static const char *const nets[] = {"quick", "plain7",       "multi_adder", "branch_add",
                                       "tiny",  "deep8_concat", "regress"};
    static const int batches[] = {128, 1024};
    struct error error = {0};
    int planned = 0, wanted = 0;
    cudnnBackendDescriptor_t properties = backend_properties(0, json, &error);
    cr_assert(properties, "%s", error.text);
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        struct net *net = net_load(nets[i], &error);
        cr_assert(net, "%s", error.text);
        for (int n = 0; n < net->node_count; n++) {
            const struct node *node = &net->nodes[n];
            if (node->kind != NODE_CONV || conv_is_dense(net, node))
                continue;
            for (int way = 0; way < 12; way++) {
                struct conv_problem problem = {.pass = (enum conv_pass)(way % 3),
                                               .type = way / 3 % 2 ? ELEMENT_BF16 : ELEMENT_F32,
                                               .batch = batches[way / 6]};
                planned += plan_conv(net, node, &problem, properties) == 0;
                wanted++;
            }
        }
        net_destroy(&net);
    }
    cudnnBackendDestroyDescriptor(properties);
    cr_expect_eq(planned, wanted);
    cr_expect_geq(planned, 33 * 12, "convolutions are missing");
}

TestSuite(plans, .timeout = 300);

Test(plans, a100) {
    plan_all(a100);
}
Test(plans, h200) {
    plan_all(h200);
}
Test(plans, b200) {
    plan_all(b200);
}
