/* The trainer's options: what single rows cannot check, where the recipe lies, and what the words
 * become. */
#include "tests/support/scratch.h"
#include "trainer/settings.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    parse("--run-dir", "", NULL);
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
    parse("--run-dir", "r", "--digit-weight", "1e-60", "--sum-weight", "0", NULL); /* as floats */
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
        "99",          "digit",           "digit=",           "digit=x",
        "digit=0",     "digit=100.1",     "digit=-1",         "digit=nan",
        "digit=99,",   "digit=99;sum=99", "digit=99 ",        "digit= 99",
        "digit=0x10",  "digit=9,digit=8", "digit=99,,sum=99", "digit=99,loss=1",
        ",digit=99",   "digit=0x10g",     "sum=inf",          "digit=99.0%",
        "digit=99,sum"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char sentence[128];
        parse("--run-dir", "r", "--until", bad[i], NULL);
        snprintf(sentence, sizeof sentence, "--until '%s': write digit=99.0,sum=99.0, in percent",
                 bad[i]);
        expect_refused(sentence);
    }
    parse("--run-dir", "r", "--until", "sum=9,digits=99", NULL);
    expect_refused("--until 'sum=9,digits=99': write digit=99.0,sum=99.0, in percent; did you mean "
                   "'digit'?");
    parse("--run-dir", "r", "--until", "Digit=99", NULL);
    expect_refused("--until 'Digit=99': write digit=99.0,sum=99.0, in percent; did you mean "
                   "'digit'?");
}

/* What would train nothing, divide by zero, or mean something else than it says. */
Test(settings, numbers_that_make_no_sense) {
    static const char *const bad[][2] = {
        {"--epochs=0", "--epochs 0: must be a number from 1e-06 to 1000000"},
        {"--epochs=-1", "--epochs -1: must be a number from 1e-06 to 1000000"},
        {"--epochs=inf", "--epochs inf: must be a number from 1e-06 to 1000000"},
        {"--steps=0", "--steps 0: must be a whole number from 1 to 1000000000000"},
        {"--steps=1e3", "--steps 1e3: must be a whole number from 1 to 1000000000000"},
        {"--rate=0", "--rate 0: must be a number from 1e-12 to 100"},
        {"--rate=0x1", "--rate 0x1: must be a number from 1e-12 to 100"},
        {"--beta1=1", "--beta1 1: must be a number from 0 to 0.9999999"},
        {"--beta2=1", "--beta2 1: must be a number from 0 to 0.9999999"},
        {"--epsilon=0", "--epsilon 0: must be a number from 1e-30 to 1"},
        {"--seed=1e3", "--seed 1e3: must be a whole number from 0 to 9007199254740991"},
        {"--optimizer=adm",
         "--optimizer adm: must be one of sgd|nesterov|adam|adamw|adadelta|rmsprop|adagrad; did "
         "you mean 'adam'?"},
        {"--optimizer=admaw",
         "--optimizer admaw: must be one of sgd|nesterov|adam|adamw|adadelta|rmsprop|adagrad; did "
         "you mean 'adamw'?"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *arguments[] = {(char *)"trainer", (char *)bad[i][0], NULL};
        struct settings target = {0};
        cr_expect_null(options_parse(&trainer_program, 2, arguments, &target, &error), "%s",
                       bad[i][0]);
        cr_expect_str_eq(error.text, bad[i][1]);
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
    char looped[1024]; /* a link to itself */
    snprintf(looped, sizeof looped, "%s/bare.recipe", folder);
    cr_assert_eq(symlink("bare.recipe", looped), 0);
    cr_expect_eq(settings_recipe(&settings, path, sizeof path, &error), -1);
    cr_expect_eq(error.code, ERROR_IO);
    cr_assert_eq(unlink(looped), 0);
    parse("--net", bare, "--recipe", own, NULL);
    expect_recipe(own);
    parse("--net", bare, "--recipe", "here.recipe",
          NULL); /* a file; its reader says if it is not there */
    expect_recipe("here.recipe");
    parse("--net", net, "--recipe", "slow", NULL);
    cr_expect_eq(settings_recipe(&settings, path, sizeof path, &error), -1);
    cr_expect_eq(error.code, ERROR_INVALID);
    snprintf(sentence, sizeof sentence,
             "there is no recipe 'slow' for %s: looked for %s/a.slow.recipe; there are fast", net,
             folder);
    cr_assert_str_eq(error.text, sentence);
    parse("--net", net, "--recipe", "fsat", NULL);
    cr_assert_eq(settings_recipe(&settings, path, sizeof path, &error), -1);
    cr_expect(strstr(error.text, "; there are fast; did you mean 'fast'?"), "%s", error.text);

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

/* What was not given is the optimizer's own, as in PyTorch. */
Test(settings, optimizers_and_their_defaults) {
    static const struct {
        const char *word;
        enum optimizer_kind kind;
        float rho, epsilon;
    } words[] = {{"adamw", OPTIMIZER_ADAMW, 0.99f, 1e-8f},
                 {"adam", OPTIMIZER_ADAM, 0.99f, 1e-8f},
                 {"adadelta", OPTIMIZER_ADADELTA, 0.9f, 1e-6f},
                 {"rmsprop", OPTIMIZER_RMSPROP, 0.99f, 1e-8f},
                 {"adagrad", OPTIMIZER_ADAGRAD, 0.99f, 1e-10f}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct optimizer optimizer;
        parse("--optimizer", words[i].word, NULL);
        settings_settle(&settings);
        settings_optimizer(&settings, &optimizer);
        cr_expect_eq(optimizer.kind, words[i].kind, "%s", words[i].word);
        cr_expect_eq(optimizer.rho, words[i].rho, "%s", words[i].word);
        cr_expect_eq(optimizer.epsilon, words[i].epsilon, "%s", words[i].word);
        parse("--optimizer", words[i].word, "--rho", "0.5", "--epsilon", "0.25", NULL);
        settings_settle(&settings);
        settings_optimizer(&settings, &optimizer);
        cr_expect_eq(optimizer.rho, 0.5f);
        cr_expect_eq(optimizer.epsilon, 0.25f);
    }
}

Test(settings, milestones) {
    struct schedule schedule;
    parse("--run-dir", "r", "--schedule", "step", "--milestones", "6,9.5", "--gamma", "0.5",
          "--step-epochs", "2", "--batch", "64", NULL);
    expect_right();
    settings_schedule(&settings, 321, 60000, &schedule);
    cr_expect_eq(schedule.epoch_steps, 937.5);
    cr_expect_eq(schedule.every, 2);
    cr_expect_eq(schedule.gamma, 0.5);
    cr_assert_eq(schedule.milestone_count, 2);
    cr_expect_eq(schedule.milestones[0], 6);
    cr_expect_eq(schedule.milestones[1], 9.5);
    static const char *const bad[] = {
        "",    ",",  "6,", ",6",  "6,6", "6,5", "0",   "-1",
        "0x6", " 6", "6 ", "6;9", "nan", "inf", "1e1", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char sentence[160];
        parse("--run-dir", "r", "--milestones", bad[i], NULL);
        snprintf(sentence, sizeof sentence,
                 "--milestones '%s': write rising epochs, at most 16, as 6,9.5", bad[i]);
        expect_refused(sentence);
    }
}

Test(settings, become_a_schedule) {
    static const struct {
        const char *word;
        enum schedule_kind kind;
    } words[] = {{"constant", SCHEDULE_CONSTANT},
                 {"linear", SCHEDULE_LINEAR},
                 {"step", SCHEDULE_STEP},
                 {"cosine", SCHEDULE_COSINE},
                 {"onecycle", SCHEDULE_ONECYCLE}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct schedule schedule;
        parse("--schedule", words[i].word, "--rate", "0.5", "--warmup", "0.125", "--final-rate",
              "0.25", NULL);
        settings_schedule(&settings, 321, 60000, &schedule);
        cr_expect_eq(schedule.kind, words[i].kind);
        cr_expect_eq(schedule.peak, 0.5f);
        cr_expect_eq(schedule.warmup, 0.125f);
        cr_expect_eq(schedule.final, 0.25f);
        cr_expect_eq(schedule.steps, 321);
    }
}

Test(settings, become_warps) {
    parse("--shift", "1.5", "--rotate", "8", "--scale", "0.25", "--shear", "4", "--elastic", "2",
          NULL);
    struct warps warps = settings_warps(&settings);
    cr_expect_eq(warps.shift, 1.5f);
    cr_expect_eq(warps.rotate, 8);
    cr_expect_eq(warps.scale, 0.25f);
    cr_expect_eq(warps.shear, 4);
    cr_expect_eq(warps.elastic, 2);
}

static void expect_idle(const char *sentence) {
    struct notices notices = {0};
    settings_note_idle(&settings, options, &notices);
    cr_expect_eq(notices.count, sentence[0] ? 1 : 0, "%s", sentence);
    cr_expect(!sentence[0] || strcmp(notices.texts[0], sentence) == 0, "%s", notices.texts[0]);
}

Test(settings, options_without_effect_are_noted) {
    parse("--milestones=6,9", NULL);
    expect_idle("--milestones has no effect with --schedule=onecycle");
    parse("--milestones=6,9", "--schedule=step", "--gamma=0.5", NULL);
    expect_idle("");
    parse("--milestones=6,9", "--schedule=step", "--step-epochs=1", NULL);
    expect_idle("--step-epochs has no effect with --milestones");
    parse("--warmup=0.1", "--schedule=constant", NULL);
    expect_idle("--warmup has no effect with --schedule=constant");
    parse("--momentum=0.5", "--optimizer=adam", NULL);
    expect_idle("--momentum has no effect with --optimizer=adam");
    parse("--epsilon=0.5", "--optimizer=sgd", NULL);
    expect_idle("--epsilon has no effect with --optimizer=sgd");
    parse("--rho=0.5", "--optimizer=adadelta", "--epsilon=1e-5", NULL);
    expect_idle("");
    parse("--beta1=0.5", "--optimizer=adam", NULL);
    expect_idle("");
    parse("--rate=0.5", NULL);
    expect_idle("");
}
