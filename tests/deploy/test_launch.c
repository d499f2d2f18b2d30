/* The launcher's options and the command lines that follow from them. */
#include "deploy/launch.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* The words of `program` for these options, joined by spaces. */
static void join_words(const char *program, int number, const char *const *given, int count,
                       char joined[static 1024]) {
    char *argv[16] = {"pipeline"};
    struct launch launch = {0};
    struct error error = {0};
    struct folder folder = {.path = "/r/first", .control = "ipc:///r/first/sockets/control"};
    for (int i = 0; i < count; i++)
        argv[i + 1] = (char *)given[i];
    struct options *options = launch_parse(&launch, count + 1, argv, &error);
    cr_assert_not_null(options, "%s", error.text);
    char **words = launch_words(program, number, "/b", &launch, options, &folder, &error);
    cr_assert_not_null(words, "%s", error.text);
    joined[0] = '\0';
    for (int i = 0; words[i]; i++) {
        strcat(joined, i ? " " : "");
        strcat(joined, words[i]);
    }
    launch_free_words(words);
    options_destroy(&options);
}

Test(launch, words_without_options) {
    char joined[1024];
    join_words("trainer", 1, NULL, 0, joined);
    cr_expect_str_eq(joined,
                     "/b/trainer --bind=ipc:///r/first/sockets/control "
                     "--run-dir=/r/first --expect-evaluator",
                     "a resumed run decides by itself what was not given");
    join_words("loader", 1, NULL, 0, joined);
    cr_expect_str_eq(joined, "/b/loader --join=ipc:///r/first/sockets/control --name=loader-1 "
                             "--data=auto --hold-out=0");
    join_words("augment", 2, NULL, 0, joined);
    cr_expect_str_eq(joined, "/b/augment --join=ipc:///r/first/sockets/control --name=augment-2");
    join_words("evaluator", 1, NULL, 0, joined);
    cr_expect_str_eq(joined, "/b/evaluator --join=ipc:///r/first/sockets/control "
                             "--run-dir=/r/first --name=evaluator-1");
}

Test(launch, options_go_to_whom_they_concern) {
    static const char *const given[] = {"--seed=7",
                                        "--epochs=2.5",
                                        "--resume",
                                        "--other-bits",
                                        "--run=a",
                                        "--data=png:/x y",
                                        "--until=digit=99",
                                        "--trainer=--batch=256",
                                        "--augment=--threads=2",
                                        "--hold-out=5000",
                                        "--transpose"};
    char joined[1024];
    join_words("trainer", 1, given, 11, joined);
    cr_expect_str_eq(strstr(joined, " --resume"),
                     " --resume --seed=7 --epochs=2.5 --other-bits --until=digit=99 --batch=256");
    join_words("loader", 1, given, 11, joined);
    cr_expect_str_eq(strstr(joined, " --name"),
                     " --name=loader-1 --data=png:/x y --hold-out=5000 --transpose");
    join_words("augment", 1, given, 11, joined);
    cr_expect_str_eq(strstr(joined, " --name"), " --name=augment-1 --threads=2");
}

/* The data and the held-out images of a run on these options, in `path`. */
static struct launch settle(const char *path, int count, const char *const *given, char *data) {
    char *argv[16] = {"pipeline"};
    struct launch launch = {0};
    struct error error = {0};
    struct folder folder = {0};
    snprintf(folder.path, sizeof folder.path, "%s", path);
    for (int i = 0; i < count; i++)
        argv[i + 1] = (char *)given[i];
    struct options *options = launch_parse(&launch, count + 1, argv, &error);
    cr_assert_not_null(options, "%s", error.text);
    cr_assert_eq(launch_settle_data(&launch, options, &folder, &error), 0, "%s", error.text);
    snprintf(data, 64, "%s", launch.data);
    options_destroy(&options);
    return launch;
}

Test(launch, a_resumed_run_keeps_its_data) {
    char folder[64], data[64];
    scratch_begin(folder);
    cr_expect_eq(settle(folder, 1, (const char *const[]){"--resume"}, data).hold_out, 0);
    cr_expect_str_eq(data, "auto", "of a run that kept nothing, the defaults");
    settle(folder, 2, (const char *const[]){"--data=png:/a b", "--hold-out=700"}, data);
    cr_expect_eq(settle(folder, 1, (const char *const[]){"--resume"}, data).hold_out, 700);
    cr_expect_str_eq(data, "png:/a b");
    /* What is given counts, for this once. */
    cr_expect_eq(
        settle(folder, 2, (const char *const[]){"--resume", "--data=idx:/c"}, data).hold_out, 700);
    cr_expect_str_eq(data, "idx:/c");
    cr_expect_eq(
        settle(folder, 2, (const char *const[]){"--resume", "--hold-out=0"}, data).hold_out, 0);
    cr_expect_str_eq(data, "png:/a b");
    /* Begun anew, with --force. */
    settle(folder, 1, (const char *const[]){"--data=mnist"}, data);
    cr_expect_eq(settle(folder, 1, (const char *const[]){"--resume"}, data).hold_out, 0);
    cr_expect_str_eq(data, "mnist");
    scratch_end(folder);
}

Test(launch, what_a_gpu_is_told) {
    static const char *const given[] = {"--device=cuda", "--precision=tf32", "--tune", "--ahead=8",
                                        "--graph-steps=4"};
    char joined[1024];
    join_words("trainer", 1, given, 5, joined);
    cr_expect_str_eq(strstr(joined, " --device"),
                     " --device=cuda --precision=tf32 --tune --ahead=8 --graph-steps=4");
    join_words("evaluator", 1, given, 5, joined);
    cr_expect_str_eq(strstr(joined, " --name"), " --name=evaluator-1 --device=cuda",
                     "its precision is that of the run");
    join_words("loader", 1, given, 5, joined);
    cr_expect_null(strstr(joined, "--device"));
}

static void expect_refused(struct launch launch, const char *words) {
    struct error error = {0};
    cr_expect_eq(launch_check(&launch, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect(strstr(error.text, words), "'%s' lacks '%s'", error.text, words);
}

Test(launch, impossible_combinations_are_refused) {
    struct error error;
    expect_refused((struct launch){.run = "a", .resume = true, .force = true},
                   "--resume and --force exclude each other");
    expect_refused((struct launch){.resume = true}, "--resume needs the name of a run");
    expect_refused((struct launch){.force = true}, "--force needs the name of a run");
    expect_refused((struct launch){.run = "../a"}, "run name '../a'");
    cr_expect_eq(launch_check(&(struct launch){.run = "a", .force = true}, &error), 0);
    cr_expect_eq(launch_check(&(struct launch){0}, &error), 0);
}

static void expect_unparsed(const char *option, const char *words) {
    struct launch launch = {0};
    struct error error = {0};
    char *argv[] = {"pipeline", (char *)option, NULL};
    cr_expect_null(launch_parse(&launch, 2, argv, &error), "%s", option);
    cr_expect_eq(error.code, ERROR_INVALID, "%s", option);
    cr_expect(strstr(error.text, words), "'%s' lacks '%s'", error.text, words);
}

Test(launch, unknown_or_impossible_options_are_refused) {
    expect_unparsed("--augmenters=0", "augmenters");
    expect_unparsed("--device=tpu", "device");
    expect_unparsed("--trainer", "--trainer needs a value");
    expect_unparsed("--augm=3", "'--augm=3' is too short: write --augmenters or --augment");
    expect_unparsed("-n", "-n");
    expect_unparsed("--run-dir=x", "no --run-dir here: --run and --runs name the folder");
    expect_unparsed("--describe", "no --describe here: give it to the trainer");
    expect_unparsed("stray", "stray");
}

/* What is none of the launcher's goes to the trainer, each word in its place. */
Test(launch, other_options_go_to_the_trainer) {
    static const char *const given[] = {"--steps",      "12",         "--run", "--odd-name",
                                        "--keep-going", "--rate=0.1", "--net", "tiny",
                                        "--",           "--run=x",    "runs"};
    char joined[1024];
    join_words("trainer", 1, given, 11, joined);
    cr_expect_str_eq(strstr(joined, " --steps"),
                     " --steps 12 --keep-going --rate=0.1 --net tiny --run=x runs");
    join_words("loader", 1, given, 11, joined);
    cr_expect_null(strstr(joined, "steps"));
}

static void expect_meant(const char *word, const char *meant) {
    char *argv[] = {"pipeline", (char *)word, NULL};
    struct launch launch = {0};
    struct error error = {0};
    struct options *options = launch_parse(&launch, 2, argv, &error);
    cr_assert_not_null(options, "%s", error.text);
    if (meant)
        cr_expect_str_eq(launch.meant, meant);
    else
        cr_expect_null(launch.meant, "%s: %s", word, launch.meant);
    options_destroy(&options);
}

Test(launch, a_misspelt_option_of_its_own_is_noticed) {
    expect_meant("--augmentrs=3", "augmenters");
    expect_meant("--hold_out=3", "hold-out");
    expect_meant("--steps=3", NULL);
    expect_meant("--precision=f32", NULL);
}

Test(launch, the_network_names_the_run) {
    static const struct {
        char *argv[5];
        const char *net;
    } cases[] = {{{"pipeline", "--net=tiny"}, "tiny"},
                 {{"pipeline", "--net", "tiny", "--net=a/b.net"}, "a/b.net"},
                 {{"pipeline", "--trainer=--net=regress"}, "regress"},
                 {{"pipeline", "--steps=3"}, "quick"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct launch launch = {0};
        struct error error = {0};
        int count = 0;
        while (cases[i].argv[count])
            count++;
        struct options *options = launch_parse(&launch, count, (char **)cases[i].argv, &error);
        cr_assert_not_null(options, "%s", error.text);
        cr_expect_str_eq(launch_net(&launch), cases[i].net);
        options_destroy(&options);
    }
}
