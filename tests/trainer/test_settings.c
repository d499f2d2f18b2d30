/* The trainer's options: what single rows cannot check, where the recipe lies, and what the words
 * become. */
#include "tests/support/scratch.h"
#include "trainer/settings.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct settings settings;
static struct options *options;
static struct goal goal;
static struct error error;

/* Parses what must be right; arguments end with NULL. */
static void parse(const char *first, ...) {
    char *arguments[32] = {(char *)"trainer"};
    int count = 1;
    va_list list;
    va_start(list, first);
    for (const char *next = first; next; next = va_arg(list, const char *))
        arguments[count++] = (char *)next;
    va_end(list);
    settings = (struct settings){0};
    options_destroy(&options);
    options = options_parse(&trainer_program, count, arguments, &settings, &error);
    cr_assert_not_null(options, "%s", error.text);
}

static void teardown(void) {
    options_destroy(&options);
}

TestSuite(settings, .fini = teardown);

static void expect_refused(const char *sentence) {
    error = (struct error){0};
    cr_expect_eq(settings_check(&settings, &goal, &error), -1, "not refused: %s", sentence);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect_str_eq(error.text, sentence);
}

static void expect_right(void) {
    cr_expect_eq(settings_check(&settings, &goal, &error), 0, "%s", error.text);
}

Test(settings, defaults_need_a_folder_alone) {
    parse(NULL);
    expect_refused("--run-dir is missing: where should the run go?");
    parse("--run-dir", "r", NULL);
    expect_right();
    cr_expect_eq(goal.digit, 0);
    cr_expect_eq(goal.sum, 0);
    parse("--engine", "null", NULL); /* writes nothing */
    expect_right();
    parse("--engine", "null", "--resume", NULL);
    expect_refused("--resume needs --run-dir");
}

Test(settings, folders_have_a_bound) {
    char path[382];
    memset(path, 'x', 381);
    path[381] = '\0';
    parse("--run-dir", path, NULL);
    expect_refused("--run-dir: a path of 381 bytes: at most 380");
    path[380] = '\0';
    parse("--run-dir", path, NULL);
    expect_right();
}

Test(settings, addresses) {
    parse("--run-dir", "r", "--bind", "127.0.0.1:5555", NULL);
    expect_refused("--bind: address '127.0.0.1:5555': write tcp://host:port or ipc://path; did you "
                   "mean tcp://127.0.0.1:5555?");
    parse("--run-dir", "r", "--bind", "tcp://0.0.0.0:5555", NULL);
    expect_refused("--bind tcp://0.0.0.0:5555 can be reached from other machines: add --insecure "
                   "if everyone on that network may join this run");
    parse("--run-dir", "r", "--bind", "tcp://0.0.0.0:5555", "--insecure", NULL);
    expect_right();
    parse("--run-dir", "r", "--bind", "tcp://127.0.0.1:*", NULL);
    expect_right();
    parse("--run-dir", "r", "--bind", "ipc:///tmp/socket", NULL);
    expect_right();
}

Test(settings, what_excludes_each_other) {
    parse("--run-dir", "r", "--epochs", "1", "--steps", "10", NULL);
    expect_refused("--epochs and --steps exclude each other");
    parse("--run-dir", "r", "--checkpoint-every", "5", "--checkpoint-epochs", "0.5", NULL);
    expect_refused("--checkpoint-every and --checkpoint-epochs exclude each other");
    parse("--run-dir", "r", "--digit-weight", "0", "--sum-weight", "0", NULL);
    expect_refused("--digit-weight and --sum-weight are both 0: nothing would be learned");
    parse("--run-dir", "r", "--digit-weight", "0", NULL);
    expect_right();
}

Test(settings, goals) {
    parse("--run-dir", "r", "--until", "digit=99.5,sum=98", NULL);
    expect_right();
    cr_expect_eq(goal.digit, 99.5);
    cr_expect_eq(goal.sum, 98);
    parse("--run-dir", "r", "--until", "sum=100", NULL);
    expect_right();
    cr_expect_eq(goal.digit, 0);
    cr_expect_eq(goal.sum, 100);
    static const char *const bad[] = {
        "99",          "digit",       "digit=",    "digit=x",          "digit=0",
        "digit=100.1", "digit=-1",    "digit=nan", "digit=99,",        "digit=99;sum=99",
        "Digit=99",    "digits=99",   "digit=99 ", "digit=99,,sum=99", "digit=99,loss=1",
        ",digit=99",   "digit=0x10g", "sum=inf",   "digit=99.0%",      "digit=99,sum"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char sentence[128];
        parse("--run-dir", "r", "--until", bad[i], NULL);
        snprintf(sentence, sizeof sentence, "--until '%s': write digit=99.0,sum=99.0, in percent",
                 bad[i]);
        expect_refused(sentence);
    }
}

static void expect_recipe(const char *expected) {
    char path[1024] = "?";
    cr_expect_eq(settings_recipe(&settings, path, sizeof path, &error), 0, "%s", error.text);
    cr_expect_str_eq(path, expected);
}

Test(settings, recipes_lie_beside_their_network) {
    char folder[64], net[SCRATCH_PATH], bare[SCRATCH_PATH], own[SCRATCH_PATH], fast[SCRATCH_PATH];
    char path[1024], sentence[1024];
    scratch_begin(folder);
    scratch_write(folder, "a.net", "", net);
    scratch_write(folder, "bare.net", "", bare);
    scratch_write(folder, "a.recipe", "", own);
    scratch_write(folder, "a.fast.recipe", "", fast);
    parse("--net", net, NULL);
    expect_recipe(own);
    parse("--net", net, "--recipe", "fast", NULL);
    expect_recipe(fast);
    parse("--net", bare, NULL); /* has none, and none was asked for */
    expect_recipe("");
    parse("--net", bare, "--recipe", own, NULL);
    expect_recipe(own);
    parse("--net", bare, "--recipe", "here.recipe",
          NULL); /* a file; its reader says if it is not there */
    expect_recipe("here.recipe");
    parse("--net", net, "--recipe", "slow", NULL);
    cr_expect_eq(settings_recipe(&settings, path, sizeof path, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
    snprintf(sentence, sizeof sentence,
             "there is no recipe 'slow' for %s: looked for %s/a.slow.recipe", net, folder);
    cr_expect_str_eq(error.text, sentence);

    /* By the network's name. */
    setenv("DIGITSUM_NETS", folder, 1);
    parse("--net", "a", NULL);
    expect_recipe(own);
    parse("--net", "a", "--recipe", "fast", NULL);
    expect_recipe(fast);
    parse("--net", "no-such-net", NULL);
    cr_expect_eq(settings_recipe(&settings, path, sizeof path, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
    cr_expect(strstr(error.text, "no-such-net"), "%s", error.text);
    scratch_end(folder);
}

Test(settings, become_an_optimizer) {
    struct optimizer optimizer;
    parse("--optimizer", "sgd", "--momentum", "0.5", "--weight-decay", "0.25", NULL);
    settings_optimizer(&settings, &optimizer);
    cr_expect_eq(optimizer.kind, OPTIMIZER_SGD);
    cr_expect_eq(optimizer.momentum, 0.5f);
    cr_expect_eq(optimizer.weight_decay, 0.25f);
    parse("--optimizer", "nesterov", NULL);
    settings_optimizer(&settings, &optimizer);
    cr_expect_eq(optimizer.kind, OPTIMIZER_NESTEROV);
    parse("--beta1", "0.5", "--beta2", "0.75", "--epsilon", "0.125", "--ema", "0.875",
          "--label-smoothing", "0.0625", "--digit-weight", "2", "--sum-weight", "3", NULL);
    settings_optimizer(&settings, &optimizer);
    cr_expect_eq(optimizer.kind, OPTIMIZER_ADAMW);
    cr_expect_eq(optimizer.beta1, 0.5f);
    cr_expect_eq(optimizer.beta2, 0.75f);
    cr_expect_eq(optimizer.epsilon, 0.125f);
    cr_expect_eq(optimizer.ema, 0.875f);
    cr_expect_eq(optimizer.label_smoothing, 0.0625f);
    cr_expect_eq(optimizer.digit_weight, 2);
    cr_expect_eq(optimizer.sum_weight, 3);
}

Test(settings, become_a_schedule) {
    static const struct {
        const char *word;
        enum schedule_kind kind;
    } words[] = {{"constant", SCHEDULE_CONSTANT},
                 {"cosine", SCHEDULE_COSINE},
                 {"onecycle", SCHEDULE_ONECYCLE}};
    for (int i = 0; i < 3; i++) {
        struct schedule schedule;
        parse("--schedule", words[i].word, "--rate", "0.5", "--warmup", "0.125", "--final-rate",
              "0.25", NULL);
        settings_schedule(&settings, 321, &schedule);
        cr_expect_eq(schedule.kind, words[i].kind);
        cr_expect_eq(schedule.peak, 0.5f);
        cr_expect_eq(schedule.warmup, 0.125f);
        cr_expect_eq(schedule.final, 0.25f);
        cr_expect_eq(schedule.steps, 321);
    }
}

Test(settings, become_warps) {
    Digitsum__Warps warps;
    parse("--shift", "1.5", "--rotate", "8", "--scale", "0.25", "--shear", "4", "--elastic", "2",
          NULL);
    settings_warps(&settings, &warps);
    cr_expect_eq(warps.shift, 1.5f);
    cr_expect_eq(warps.rotate, 8);
    cr_expect_eq(warps.scale, 0.25f);
    cr_expect_eq(warps.shear, 4);
    cr_expect_eq(warps.elastic, 2);
}
