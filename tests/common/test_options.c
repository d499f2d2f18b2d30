/* Options from the command line: values, precedence, help, and the sentence of every refusal. */
#include "tests/common/options_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

Test(options, begin_with_their_defaults) {
    struct target target;
    struct options *options = options_rig_parse("", &target);
    cr_assert_eq(target.batch, 128);
    cr_assert_eq(target.offset, 0);
    cr_assert_eq(target.rate, 0.5);
    cr_assert_eq(target.bias, 0.0);
    cr_assert_eq(target.resume, false);
    cr_assert_str_eq(target.name, "trainer");
    cr_assert_null(target.note);
    cr_assert_str_eq(target.device, "auto");
    cr_assert_null(target.extra);
    cr_assert_null(target.net);
    cr_assert_not(options_given(options, "batch"));
    options_destroy(&options);
    cr_assert_null(options);
    options_destroy(&options);
}

Test(options, take_long_names) {
    struct target target;
    struct options *options = options_rig_parse(
        "--batch 64 --offset -9223372036854775808 --learning-rate=1e-3 --bias -0.25 --resume "
        "--name x --note= --device cuda plain7",
        &target);
    cr_assert_eq(target.batch, 64);
    cr_assert_eq(target.offset, INT64_MIN);
    cr_assert_eq(target.rate, 1e-3);
    cr_assert_eq(target.bias, -0.25);
    cr_assert_eq(target.resume, true);
    cr_assert_str_eq(target.name, "x");
    cr_assert_str_eq(target.note, "");
    cr_assert_str_eq(target.device, "cuda");
    cr_assert_str_eq(target.net, "plain7");
    cr_assert(options_given(options, "resume"));
    cr_assert(options_given(options, "learning-rate"));
    cr_assert_not(options_given(options, "extra"));
    cr_assert_not(options_given(options, "no-such-option"));
    options_destroy(&options);
}

Test(options, take_letters_and_the_last_word_counts) {
    struct target target;
    struct options *options = options_rig_parse("quick -rb 7 -d cpu -dcuda --batch 8192", &target);
    cr_assert_eq(target.batch, 8192);
    cr_assert_eq(target.resume, true);
    cr_assert_str_eq(target.device, "cuda");
    cr_assert_str_eq(target.net, "quick");
    options_destroy(&options);
}

Test(options, own_their_texts) {
    struct target target = TARGET;
    struct error error = {0};
    char name[] = "before", net[] = "quick";
    struct options *options =
        options_rig_try((const char *[]){"-n", name, net, NULL}, &target, &error);
    cr_assert_not_null(options, "%s", error.text);
    memset(name, 'x', sizeof name - 1);
    memset(net, 'x', sizeof net - 1);
    cr_assert_str_eq(target.name, "before");
    cr_assert_str_eq(target.net, "quick");
    options_destroy(&options);
}

Test(options, gather_what_may_be_repeated) {
    struct target target;
    struct options *options = options_rig_parse("-e one --extra two -ethree", &target);
    cr_assert_not_null(target.extra);
    cr_assert_str_eq(target.extra[0], "one");
    cr_assert_str_eq(target.extra[1], "two");
    cr_assert_str_eq(target.extra[2], "three");
    cr_assert_null(target.extra[3]);
    options_destroy(&options);
}

Test(options, end_at_two_dashes) {
    struct target target;
    struct options *options = options_rig_parse("-r -- --batch", &target);
    cr_assert_str_eq(target.net, "--batch");
    options_destroy(&options);
}

struct refusal {
    const char *argv[4];
    const char *sentence;
};

/* clang-format off */
static const struct refusal refusals[] = {
    {{"--foo"}, "unknown option '--foo'; see --help"},
    {{"--foo=3"}, "unknown option '--foo=3'; see --help"},
    {{"--learning_rate", "1"}, "unknown option '--learning_rate'; did you mean --learning-rate?"},
    {{"--lerning-rate=1"}, "unknown option '--lerning-rate=1'; did you mean --learning-rate?"},
    {{"--bacth", "1"}, "unknown option '--bacth'; did you mean --batch?"},
    {{"--b", "1"}, "'--b' is too short: write --batch or --bias; see --help"},
    {{"--re", "--b"}, "'--b' is too short: write --batch or --bias; see --help"},
    {{"--HANG"}, "unknown option '--HANG'; see --help"},
    {{"--pre", "f16"}, "--precision f16: must be one of f32|bf16; did you mean 'bf16'?"},
    {{"--ver=1"}, "--ver takes no value; see --help"},
    {{"-x"}, "unknown option '-x'; see --help"},
    {{"--resume", "-xr"}, "unknown option '-x'; see --help"},
    {{"quick", "--foo"}, "unknown option '--foo'; see --help"},
    {{"--batch"}, "--batch needs a value; see --help"},
    {{"-b"}, "-b needs a value; see --help"},
    {{"-rb"}, "-b needs a value; see --help"},
    {{"--resume=yes"}, "--resume takes no value; see --help"},
    {{"quick", "plain7"}, "unexpected argument 'plain7'; see --help"},
    {{"--batch", "0"}, "--batch 0: must be a whole number from 1 to 8192"},
    {{"--batch", "8193"}, "--batch 8193: must be a whole number from 1 to 8192"},
    {{"-b", "-1"}, "--batch -1: must be a whole number from 1 to 8192"},
    {{"--batch", "5x"}, "--batch 5x: must be a whole number from 1 to 8192"},
    {{"--batch", "5.0"}, "--batch 5.0: must be a whole number from 1 to 8192"},
    {{"--batch", "0x10"}, "--batch 0x10: must be a whole number from 1 to 8192"},
    {{"--batch", "1e3"}, "--batch 1e3: must be a whole number from 1 to 8192"},
    {{"--batch", "1_000"}, "--batch 1_000: must be a whole number from 1 to 8192"},
    {{"--batch", "1,000"}, "--batch 1,000: must be a whole number from 1 to 8192"},
    {{"--batch", "99999999999999999999"}, "--batch 99999999999999999999: must be a whole number from 1 to 8192"},
    {{"--seed", "-1"}, "--seed -1: must be a whole number from 0 to 9007199254740991"},
    {{"--seed", "9007199254740992"}, "--seed 9007199254740992: must be a whole number from 0 to 9007199254740991"},
    {{"--epochs", "0"}, "--epochs 0: must be a number from 1e-06 to 1000000"},
    {{"--epochs", "-0"}, "--epochs -0: must be a number from 1e-06 to 1000000"},
    {{"--batch", " 5"}, "--batch  5: must be a whole number from 1 to 8192"},
    {{"--batch", "5 "}, "--batch 5 : must be a whole number from 1 to 8192"},
    {{"--batch="}, "--batch : must be a whole number from 1 to 8192"},
    {{"--batch", "--resume"}, "--batch --resume: must be a whole number from 1 to 8192"},
    {{"--batch", "0", "--foo"}, "--batch 0: must be a whole number from 1 to 8192"},
    {{"--offset", "9223372036854775808"}, "--offset 9223372036854775808: must be a whole number"},
    {{"--offset", "many"}, "--offset many: must be a whole number"},
    {{"-l", "10.001"}, "--learning-rate 10.001: must be a number from 0 to 10"},
    {{"-l", "nan"}, "--learning-rate nan: must be a number from 0 to 10"},
    {{"-l", "1,5"}, "--learning-rate 1,5: must be a number from 0 to 10"},
    {{"-l", "\t1"}, "--learning-rate \t1: must be a number from 0 to 10"},
    {{"-l", "0x1"}, "--learning-rate 0x1: must be a number from 0 to 10"},
    {{"-l", "1 "}, "--learning-rate 1 : must be a number from 0 to 10"},
    {{"-l", "1e"}, "--learning-rate 1e: must be a number from 0 to 10"},
    {{"-l", "1.0.0"}, "--learning-rate 1.0.0: must be a number from 0 to 10"},
    {{"-l", "3 epochs"}, "--learning-rate 3 epochs: must be a number from 0 to 10"},
    {{"--bias", "inf"}, "--bias inf: must be a number"},
    {{"--bias", "1e999"}, "--bias 1e999: must be a number"},
    {{"--bias", "nan"}, "--bias nan: must be a number"},
    {{"--bias="}, "--bias : must be a number"},
    {{"--device", "gpu"}, "--device gpu: must be one of auto|cpu|cuda; did you mean 'cuda'?"},
    {{"--device", "cud"}, "--device cud: must be one of auto|cpu|cuda; did you mean 'cuda'?"},
    {{"--device", "CPU"}, "--device CPU: must be one of auto|cpu|cuda; did you mean 'cpu'?"},
    {{"--device", "tpu7"}, "--device tpu7: must be one of auto|cpu|cuda"},
    {{"--device", "auto|cpu"}, "--device auto|cpu: must be one of auto|cpu|cuda; did you mean 'auto'?"},
    {{"--device="}, "--device : must be one of auto|cpu|cuda"},
    {{"--note", "caf\xe9"}, "--note: must be UTF-8"},
};
/* clang-format on */

Test(options, refuse_in_one_sentence) {
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct target target = TARGET;
        struct error error = {0};
        struct options *options = options_rig_try(refusals[i].argv, &target, &error);
        cr_expect_null(options, "row %zu was taken: %s", i, refusals[i].argv[0]);
        cr_expect_eq(error.code, ERROR_INVALID, "row %zu: code %d", i, error.code);
        cr_expect_str_eq(error.text, refusals[i].sentence);
        cr_expect_str_eq(target.guard, "guard");
        options_destroy(&options);
    }
}

/* Runs options_parse in a child, both its outputs into `text`; returns its exit status. */
static int run(const char *const *argv, char *text, size_t size, bool errors) {
    int ends[2], status = -1;
    cr_assert_eq(pipe(ends), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        dup2(ends[1], errors ? STDERR_FILENO : STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        struct target target = TARGET;
        struct error error = {0};
        struct options *options = options_rig_try(argv, &target, &error);
        options_destroy(&options);
        fflush(NULL);
        _exit(77);
    }
    close(ends[1]);
    size_t used = 0;
    ssize_t got;
    while (used < size - 1 && (got = read(ends[0], text + used, size - 1 - used)) > 0)
        used += (size_t)got;
    text[used] = '\0';
    close(ends[0]);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

Test(options, print_help_and_exit_with_0) {
    char text[8192];
    cr_assert_eq(run((const char *[]){"--help", NULL}, text, sizeof text, false), 0);
    static const char *const parts[] = {
        "Tests options.\n",
        "[NET]\n",
        "\nWhat:\n",
        "\nHow:\n",
        "  -b, --batch=N ",
        "pairs in a step (default 128)\n",
        "      --bias=X ",
        "any number\n",
        "  -l, --learning-rate=X ",
        "how fast (default 0.5)\n",
        "  -r, --resume ",
        "go on\n",
        "-d, --device=DEVICE ",
        "where to compute: auto|cpu|cuda (default auto)\n",
        "-V, --version ",
        "rig --batch 64 quick\n",
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        cr_expect_not_null(strstr(text, parts[i]), "'%s' is not in the help:\n%s", parts[i], text);
    cr_expect_lt(strstr(text, "\nWhat:\n"), strstr(text, "--batch"));
    cr_expect_lt(strstr(text, "--offset"), strstr(text, "\nHow:\n"));
    cr_expect_lt(strstr(text, "\nHow:\n"), strstr(text, "--resume"));
    cr_assert_eq(run((const char *[]){"-r", "-?", NULL}, text, sizeof text, false), 0);
}

Test(options, print_their_version_and_exit_with_0) {
    char text[256];
    cr_assert_eq(run((const char *[]){"--version", NULL}, text, sizeof text, false), 0);
    cr_assert_str_eq(text, "rig 0.1.0\n");
    cr_assert_eq(run((const char *[]){"-V", NULL}, text, sizeof text, false), 0);
    cr_assert_str_eq(text, "rig 0.1.0\n");
    cr_assert_str_eq(DIGITSUM_VERSION, "0.1.0");
}

Test(options, print_nothing_when_they_refuse) {
    char text[256];
    for (int errors = 0; errors < 2; errors++)
        for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
            cr_assert_eq(run(refusals[i].argv, text, sizeof text, errors), 77);
            cr_expect_str_empty(text, "row %zu printed: %s", i, text);
        }
}

Test(options, parse_again_in_the_same_process) {
    for (int i = 0; i < 3; i++) {
        struct target target;
        struct options *options = options_rig_parse("quick --batch 3", &target);
        cr_assert_eq(target.batch, 3);
        cr_assert_str_eq(target.net, "quick");
        options_destroy(&options);
    }
}
