/* Where network files are found, and the two that ship. */
#include "model/net.h"
#include "tests/model/texts.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct net *must_load(const char *name) {
    struct error error = {0};
    struct net *net = net_load(name, &error);
    cr_assert_not_null(net, "%s", error.text);
    return net;
}

static void expect_no_net(const char *name, enum error_code code, const char *sentence) {
    struct error error = {0};
    cr_expect_null(net_load(name, &error));
    cr_expect_eq(error.code, code);
    cr_expect_str_eq(error.text, sentence);
}

static void put_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file, "%s", path);
    fputs(text, file);
    fclose(file);
}

static size_t floats_of(const struct net *net, const char *node) {
    size_t floats = 0;
    for (int p = 0; p < net->parameter_count; p++)
        if (strcmp(net->nodes[net->parameters[p].node].name, node) == 0)
            floats += net->parameters[p].count;
    return floats;
}

Test(load, quick) {
    struct net *net = must_load("quick");
    cr_expect_str_eq(net->name, "quick");
    cr_expect_eq(net->trainable, 20393);
    cr_expect_eq(net->trainable - floats_of(net, "sum"), 18474);
    cr_expect_eq(net->total - net->trainable, 96);
    cr_expect_not(net->regression);
    cr_expect_eq(net->parameters[net->nodes[net->sum_output].parameter_first].rate, 5);
    net_destroy(&net);
}

Test(load, plain7_has_6384925_parameters) {
    static const struct {
        const char *node;
        size_t floats;
    } layers[] = {{"conv1", 320},    {"conv2", 18496},   {"conv3", 73856},
                  {"conv4", 295168}, {"conv5", 1180160}, {"conv6", 4719616},
                  {"conv7", 92170},  {"hidden", 2688},   {"sum", 2451}};
    struct net *net = must_load("plain7");
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        cr_expect_eq(floats_of(net, layers[i].node), layers[i].floats, "%s", layers[i].node);
    cr_expect_eq(net->trainable, 6384925);
    cr_expect_eq(net->total, 6384925);
    struct shape shape = net->nodes[net->digit_output].shape;
    cr_expect(shape.channels == 10 && shape.height == 1 && shape.width == 1);
    net_destroy(&net);
}

Test(load, by_path) {
    struct net *net = must_load("model/nets/quick.net");
    cr_expect_str_eq(net->name, "quick");
    net_destroy(&net);
}

Test(load, the_chosen_folder_comes_first) {
    char folder[] = "/tmp/digitsum-test-XXXXXX";
    char path[64];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/quick.net", folder);
    put_file(path, tiny_text);
    setenv("DIGITSUM_NETS", folder, 1);
    struct net *net = must_load("quick");
    cr_expect_str_eq(net->name, "tiny");
    net_destroy(&net);
    net = must_load("plain7");
    cr_expect_str_eq(net->name, "plain7", "what the chosen folder lacks is looked for further on");
    net_destroy(&net);
    unlink(path);
    rmdir(folder);
}

Test(load, names_that_are_not_there) {
    struct error error = {0};
    setenv("DIGITSUM_NETS", "/nonexistent", 1);
    cr_expect_null(net_load("quack", &error));
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect_eq(
        strncmp(error.text, "there is no network 'quack' in /nonexistent, model/nets, /", 58), 0,
        "%s", error.text);
    cr_expect_not_null(strstr(error.text, "/../share/digitsum/nets"), "%s", error.text);
    cr_expect_not_null(
        strstr(error.text, "/../share/digitsum/nets; there are branch_add, champion"), "%s",
        error.text);
    cr_expect_null(net_load("qiuck", &error));
    cr_expect_not_null(strstr(error.text, "; did you mean 'quick'?"), "%s", error.text);
    cr_expect_null(net_load("QUICK", &error));
    cr_expect_not_null(strstr(error.text, "; did you mean 'quick'?"), "%s", error.text);
    expect_no_net("", ERROR_INVALID, "'' is neither the path nor the name of a network");
    expect_no_net("a b", ERROR_INVALID, "'a b' is neither the path nor the name of a network");
}

Test(load, files_that_cannot_be_read) {
    char path[] = "/tmp/digitsum-test-XXXXXX";
    char expected[200];
    expect_no_net("/nonexistent.net", ERROR_INVALID,
                  "cannot read the network /nonexistent.net: No such file or directory");
    expect_no_net("/", ERROR_INVALID, "cannot read /: it is not a regular file");
    cr_assert_not_null(mkdtemp(path));
    char fifo[64];
    snprintf(fifo, sizeof fifo, "%s/a.net", path);
    snprintf(expected, sizeof expected, "cannot read %s: it is not a regular file", fifo);
    cr_assert_eq(mkfifo(fifo, 0600), 0);
    expect_no_net(fifo, ERROR_INVALID, expected);
    unlink(fifo);
    put_file(fifo, "name = t\nnodes = 3\n");
    snprintf(expected, sizeof expected,
             "%s:2:1: expected 'name = NAME', 'parameters = COUNT', or one node a line, such as: "
             "conv1 conv image channels=16 kernel=5",
             fifo);
    expect_no_net(fifo, ERROR_INVALID, expected);
    char *large = malloc(NET_TEXT_MAX + 100);
    memset(large, '\n', NET_TEXT_MAX + 99);
    large[NET_TEXT_MAX + 99] = '\0';
    put_file(fifo, large);
    free(large);
    snprintf(expected, sizeof expected, "%s is larger than 65536 bytes (65635)", fifo);
    expect_no_net(fifo, ERROR_INVALID, expected);
    unlink(fifo);
    rmdir(path);
}
