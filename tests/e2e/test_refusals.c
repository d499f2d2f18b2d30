/* What cannot be right is refused by the real binaries: one line, the right exit status, nothing
 * left behind; and what comes from bad peers changes nothing. */
#include "tests/e2e/run.h"

#include "common/crc32c.h"
#include "common/peer.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(refusals, .timeout = 600);

static const char *const programs[] = {"loader",    "augment",  "trainer",
                                       "evaluator", "pipeline", "watch"};

/* Runs a program to its end; asserts its status and that it says this, in one line on the whole. */
static void refused(struct e2e *run, const char *program, const char *const *args, int status,
                    const char *text) {
    int process = e2e_start(run, program, program, args);
    int got = e2e_wait(run, process);
    cr_expect_eq(got, status, "%s: expected status %d, got %d", program, status, got);
    cr_expect(e2e_logged(run, process, text), "%s did not say '%s'", program, text);
    cr_expect_eq(e2e_plain_lines(run, process), 1, "%s: %d lines", program,
                 e2e_plain_lines(run, process));
}

Test(refusals, help_and_version) {
    struct e2e run;
    e2e_begin(&run);
    for (size_t i = 0; i < 6; i++) {
        run.count = 0;
        int help = e2e_start(&run, programs[i], "help", (const char *const[]){"--help", NULL});
        cr_expect_eq(e2e_wait(&run, help), 0);
        cr_expect(e2e_logged(&run, help, "Usage: "));
        int version =
            e2e_start(&run, programs[i], "version", (const char *const[]){"--version", NULL});
        cr_expect_eq(e2e_wait(&run, version), 0);
        cr_expect(e2e_logged(&run, version, "0.1.0"));
    }
    e2e_end(&run);
}

Test(refusals, unknown_options_and_impossible_values) {
    struct e2e run;
    e2e_begin(&run);
    for (size_t i = 0; i < 6; i++) {
        run.count = 0;
        refused(&run, programs[i], (const char *const[]){"--no-such-thing", NULL}, 2,
                "--no-such-thing");
        refused(&run, programs[i], (const char *const[]){"surplus", NULL}, 2, "surplus");
    }
    run.count = 0;
    refused(&run, "trainer", (const char *const[]){"--resume", "--run-dir", "a", "b", NULL}, 2,
            "unexpected argument 'b'");
    refused(&run, "trainer", (const char *const[]){"--batch", "0", NULL}, 2,
            "--batch 0: must be a whole number from 1 to 8192");
    refused(&run, "trainer", (const char *const[]){"--rate", "fast", NULL}, 2, "--rate fast");
    refused(&run, "trainer", (const char *const[]){"--check", "--net", "nosuch", NULL}, 2,
            "there is no network 'nosuch'");
    int checked = e2e_start(&run, "trainer", "trainer",
                            (const char *const[]){"--check", "--net", "tiny", NULL});
    cr_expect_eq(e2e_wait(&run, checked), 0);
    refused(&run, "augment", (const char *const[]){"--threads", "2x", NULL}, 2, "--threads 2x");
    refused(&run, "loader",
            (const char *const[]){"--join", "nowhere", "--data", "synthetic", "--train-limit", "10",
                                  NULL},
            2, "write tcp://host:port or ipc://path");
    refused(&run, "pipeline", (const char *const[]){"--run", "../up", NULL}, 2, "../up");
    refused(&run, "pipeline", (const char *const[]){"--epochs=0", NULL}, 2,
            "--epochs 0: must be a number from 1e-06 to 1000000");
    refused(&run, "pipeline", (const char *const[]){"--seed=-1", NULL}, 2,
            "--seed -1: must be a whole number from 0 to 9007199254740991");
    refused(&run, "pipeline", (const char *const[]){"--bacth=64", NULL}, 2,
            "unknown option '--bacth=64'; did you mean --batch?");
    refused(&run, "pipeline", (const char *const[]){"--augmentors=2", NULL}, 2,
            "unknown option '--augmentors=2'; did you mean --augmenters?");
    e2e_end(&run);
}

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

/* What is left of the run's length once the dataset is known. */
Test(refusals, less_than_one_image) {
    struct e2e run;
    e2e_begin(&run);
    int trainer = e2e_start(&run, "trainer", "trainer",
                            (const char *const[]){"--bind", "@ADDRESS", "--run-dir", "@RUN",
                                                  "--net", "tiny", "--epochs", "0.000001", NULL});
    e2e_start(&run, "loader", "loader",
              (const char *const[]){"--join", "@ADDRESS", "--data", "synthetic", NULL});
    cr_expect_eq(e2e_wait(&run, trainer), 2);
    cr_expect(e2e_logged(&run, trainer,
                         "--epochs 1e-06 of 60000 images is less than one image: nothing would be "
                         "trained"));
    e2e_end(&run);
}

Test(refusals, trainer_says_what_is_wrong_with_its_settings) {
    struct e2e run;
    char net[400], recipe[400], old_net[400], old_recipe[400];
    e2e_begin(&run);
    snprintf(net, sizeof net, "%s/below.net", run.folder);
    snprintf(recipe, sizeof recipe, "%s/bad.recipe", run.folder);
    snprintf(old_net, sizeof old_net, "%s/old.net", run.folder);
    snprintf(old_recipe, sizeof old_recipe, "%s/earlier.recipe", run.folder);
    write_file(net, "name = below\na relu b\nb relu image\noutput digit = a\noutput sum = b\n");
    write_file(recipe, "rate = 0.1\nlearning = 3\n");
    write_file(old_net, "name = \"keras\";\nnodes = (\n    { name = \"c1\"; kind = \"conv\"; "
                        "input = \"image\"; channels = 32; kernel = 3; },\n");
    write_file(old_recipe, "optimizer = \"adadelta\"; rate = 1.0; batch = 64;\n");
#define TRAINER "--bind", "@ADDRESS", "--run-dir", "@RUN"
    refused(&run, "trainer", (const char *const[]){TRAINER, "--net", net, NULL}, 2,
            "below.net:2:8: there is no node 'b' above this line");
    refused(&run, "trainer", (const char *const[]){TRAINER, "--net", old_net, NULL}, 2,
            "old.net:1:8: '\"' belongs to an older form that is not read any more; a network has "
            "one node a line, such as: conv1 conv image channels=16 kernel=5");
    refused(
        &run, "trainer", (const char *const[]){TRAINER, "--recipe", old_recipe, NULL}, 2,
        "earlier.recipe:1:13: '\"' belongs to an older form that is not read any more; a recipe "
        "has one setting a line, such as: rate = 0.01");
    refused(&run, "trainer", (const char *const[]){TRAINER, "--net", "nosuch", NULL}, 2,
            "there is no network 'nosuch'");
    refused(&run, "trainer", (const char *const[]){TRAINER, "--recipe", recipe, NULL}, 2,
            "bad.recipe:2:1: unknown setting 'learning'");
    refused(&run, "trainer", (const char *const[]){TRAINER, "--resume", NULL}, 2,
            "there is no valid checkpoint");
    refused(&run, "trainer",
            (const char *const[]){"--bind", "tcp://*:5555", "--run-dir", "@RUN", NULL}, 2,
            "add --insecure");
    refused(&run, "trainer", (const char *const[]){TRAINER, "--epochs", "1", "--steps", "5", NULL},
            2, "exclude each other");
    setenv("DIGITSUM_CUDA", "/nowhere", 1);
    refused(&run, "trainer", (const char *const[]){TRAINER, "--device", "cuda", NULL}, 1,
            "device cuda: DIGITSUM_CUDA=/nowhere");
    unsetenv("DIGITSUM_CUDA");
    refused(&run, "trainer",
            (const char *const[]){TRAINER, "--device", "cpu", "--precision", "tf32", NULL}, 2,
            "TF32 is a format of GPUs; use f32 or bf16");
    refused(&run, "trainer", (const char *const[]){TRAINER, "--graph-steps", "33", NULL}, 2,
            "--graph-steps 33: must be a whole number from 0 to 32");
    e2e_end(&run);
}

Test(refusals, port_in_use) {
    struct e2e run;
    char address[64];
    e2e_begin(&run);
    /* Some port that is free now: taken by us, so that the trainer finds it taken. */
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_ROUTER);
    size_t size = sizeof address;
    cr_assert_eq(zmq_bind(socket, "tcp://127.0.0.1:*"), 0);
    cr_assert_eq(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, address, &size), 0);
    int trainer = e2e_start(&run, "trainer", "trainer",
                            (const char *const[]){"--bind", address, "--run-dir", "@RUN", NULL});
    cr_expect_eq(e2e_wait(&run, trainer), 1);
    cr_expect(e2e_logged(&run, trainer, "is in use"));
    cr_expect_eq(access(run.run, F_OK), -1, "a folder of nothing is left");
    cr_expect_eq(e2e_plain_lines(&run, trainer), 1);
    zmq_close(socket);
    zmq_ctx_term(context);
    e2e_end(&run);
}

/* How many steps there are follows from the data, which nobody has told it. */
Test(refusals, a_trainer_that_never_had_data_says_so_when_it_is_stopped) {
    struct e2e run;
    e2e_begin(&run);
    int trainer = e2e_trainer(&run, (const char *const[]){"--steps=40", NULL});
    e2e_expect(&run, trainer, "listening at");
    process_signal(&run.list[trainer].process, SIGTERM, false);
    cr_expect_eq(e2e_wait(&run, trainer), 130);
    cr_expect(e2e_logged(&run, trainer,
                         "trainer: stopped before a loader joined. There was no checkpoint yet"));
    e2e_end(&run);
}

Test(refusals, loader_with_other_data_is_told_so) {
    struct e2e run;
    e2e_begin(&run);
    int first = e2e_loader(&run, "loader-1", "2000");
    int trainer = e2e_trainer(&run, (const char *const[]){"--steps", "10", NULL});
    e2e_expect(&run, trainer, "loader loader-1 joined");
    int other = e2e_loader(&run, "loader-2", "1999");
    cr_expect_eq(e2e_wait(&run, other), 4);
    cr_expect(e2e_logged(&run, other, "has another dataset: expected"));
    int augment = e2e_augment(&run, "augment-1");
    cr_expect_eq(e2e_wait(&run, trainer), 0);
    cr_expect_eq(e2e_wait(&run, first), 0);
    cr_expect_eq(e2e_wait(&run, augment), 0);
    e2e_end(&run);
}

Test(refusals, corrupt_data_ends_the_loader) {
    struct e2e run;
    char folder[300], path[400];
    static const char *const names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                        "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
    e2e_begin(&run);
    snprintf(folder, sizeof folder, "%s/data", run.folder);
    cr_assert_eq(mkdir(folder, 0700), 0);
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        write_file(path, "this is no IDX file, whatever its name says");
    }
    snprintf(path, sizeof path, "idx:%s", folder);
    int loader = e2e_start(&run, "loader", "loader",
                           (const char *const[]){"--join", "@ADDRESS", "--data", path, NULL});
    cr_expect_eq(e2e_wait(&run, loader), 3);
    cr_expect(e2e_logged(&run, loader, "idx3-ubyte"));
    cr_expect_eq(e2e_plain_lines(&run, loader), 1);
    e2e_end(&run);
}

/* Data that is not there, or laid out otherwise, is a wrong setting: status 2, one line. */
Test(refusals, missing_data_ends_the_loader) {
    static const char *const data[] = {"png:@RUN",        "idx:@RUN",  "csv:@RUN",
                                       "npz:@RUN/no.npz", "/no/where", "pmg:@RUN"};
    static const char *const words[] = {
        "holds no folders train or training",         "holds no train-images-idx3-ubyte",
        "holds no train.csv or mnist_train.csv",      "there is no such file",
        "/no/where: there is no such file or folder", "did you mean 'png'?"};
    struct e2e run;
    e2e_begin(&run);
    for (int i = 0; i < 6; i++) {
        char option[400];
        const char *at = strstr(data[i], "@RUN");
        snprintf(option, sizeof option, "--data=%.*s%s%s", at ? (int)(at - data[i]) : 100, data[i],
                 at ? run.folder : "", at ? at + 4 : "");
        int loader = e2e_start(&run, "loader", "loader",
                               (const char *const[]){"--join", "@ADDRESS", option, NULL});
        cr_expect_eq(e2e_wait(&run, loader), 2, "%s", option);
        cr_expect(e2e_logged(&run, loader, words[i]), "%s", words[i]);
        cr_expect_eq(e2e_plain_lines(&run, loader), 1);
    }
    e2e_end(&run);
}

/* What cannot be opened stays so: status 2 as well, which no supervisor tries again. */
Test(refusals, data_that_cannot_be_opened_ends_the_loader) {
    static const char *const folders[] = {"", "/train", "/train/0", "/test", "/test/0"};
    struct e2e run;
    char path[400], option[400];
    e2e_begin(&run);
    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s/png%s", run.folder, folders[i]);
        cr_assert_eq(mkdir(path, 0700), 0, "%s", path);
    }
    snprintf(path, sizeof path, "%s/png/train/0/a.png", run.folder);
    cr_assert_eq(symlink("/no/where", path), 0);
    snprintf(option, sizeof option, "--data=png:%s/png", run.folder);
    refused(&run, "loader", (const char *const[]){"--join", "@ADDRESS", option, NULL}, 2,
            "/png/train/0/a.png: is a link to nothing");
    refused(&run, "trainer",
            (const char *const[]){"--run-dir", "@RUN", "--recipe", "/no/such.recipe", NULL}, 2,
            "cannot read the recipe /no/such.recipe: No such file or directory");
    e2e_end(&run);
}

/* A run in which strangers send what they like. */
static void send_noise(const char *control, uint64_t run_id) {
    char data[400];
    void *context = zmq_ctx_new();
    void *dealer = zmq_socket(context, ZMQ_DEALER), *push = zmq_socket(context, ZMQ_PUSH);
    snprintf(data, sizeof data, "%s.pairs", control);
    cr_assert_eq(zmq_connect(dealer, control), 0);
    cr_assert_eq(zmq_connect(push, data), 0);
    for (int i = 0; i < 50; i++) {
        struct error error;
        zmq_msg_t frames[2];
        zmq_send(dealer, "garbage", 7, 0);
        zmq_send(dealer, "", 0, 0);
        zmq_send(push, "\x08\x01\xff\xff\xff", 5, 0);
        zmq_msg_init_size(&frames[0], 64 * IMAGE_PIXELS);
        zmq_msg_init_size(&frames[1], 3 * 64);
        memset(zmq_msg_data(&frames[0]), i, 64 * IMAGE_PIXELS);
        memset(zmq_msg_data(&frames[1]), 0, 3 * 64);
        Digitsum__Header header = DIGITSUM__HEADER__INIT;
        header.run = run_id;
        header.type = DIGITSUM__TYPE__PAIRS;
        header.step = (uint64_t)i;
        header.count = 64;
        /* A wrong CRC, of a run that is not this one. */
        int sent = wire_send_checked(push, NULL, &header, frames, 2, 12345, &error);
        cr_assert_geq(sent, 0);
        for (int j = 0; sent == 0 && j < 2; j++)
            zmq_msg_close(&frames[j]);
    }
    int linger = 2000;
    zmq_setsockopt(dealer, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(push, ZMQ_LINGER, &linger, sizeof linger);
    zmq_close(dealer);
    zmq_close(push);
    zmq_ctx_term(context);
}

Test(refusals, noise_changes_nothing) {
    char calm[128], noisy[128];
    static const char *const steps[] = {"--steps", "60", NULL};
    for (int round = 0; round < 2; round++) {
        struct e2e run;
        e2e_begin(&run);
        e2e_loader(&run, "loader-1", "2000");
        int trainer = e2e_trainer(&run, steps);
        e2e_expect(&run, trainer, "loader loader-1 joined");
        if (round == 1)
            send_noise(run.address, 4711);
        e2e_augment(&run, "augment-1");
        cr_assert_eq(e2e_wait(&run, trainer), 0);
        e2e_summary_text(&run, "weights_sha256", round ? noisy : calm, sizeof calm);
        if (round == 1) {
            cr_expect_geq(e2e_summary_number(&run, "messages_rejected"), 150);
            cr_expect(e2e_logged(&run, trainer, "dropped"));
            cr_expect_leq(e2e_count(&run, trainer, "dropped"), 2, "%d lines for two sockets",
                          e2e_count(&run, trainer, "dropped"));
            char words[64];
            snprintf(words, sizeof words, "bad batch from process %d dropped", (int)getpid());
            cr_expect(e2e_logged(&run, trainer, words));
        }
        e2e_end(&run);
    }
    cr_expect_str_eq(calm, noisy);
}

Test(refusals, full_disk_keeps_the_last_checkpoint) {
    struct e2e run;
    char path[400];
    e2e_begin(&run);
    cr_assert_eq(mkdir(run.run, 0700), 0);
    if (mount("tmpfs", run.run, "tmpfs", 0, "size=400k") != 0) {
        rmdir(run.run);
        e2e_end(&run);
        cr_skip_test("this machine does not let us mount a tmpfs: %s", strerror(errno));
    }
    e2e_loader(&run, "loader-1", "2000");
    e2e_augment(&run, "augment-1");
    int trainer = e2e_trainer(
        &run, (const char *const[]){"--steps", "200", "--checkpoint-every", "20", NULL});
    cr_expect_eq(e2e_wait(&run, trainer), 1);
    cr_expect(e2e_logged(&run, trainer, "No space left on device"));
    cr_expect(e2e_logged(&run, trainer, ". Step 20 is safe; to resume: "));
    cr_expect_eq(e2e_plain_lines(&run, trainer), 1);
    snprintf(path, sizeof path, "%s/checkpoints/step-000000020.safetensors", run.run);
    cr_expect_eq(access(path, R_OK), 0, "the checkpoint that fitted is gone");
    /* The sweep of e2e_end asserts that no temporary file is left; it must see into the mount. */
    for (int i = 0; i < trainer; i++)
        e2e_wait(&run, i);
    char command[500];
    snprintf(command, sizeof command, "test -z \"$(find %s -name '*.tmp')\"", run.run);
    cr_expect_eq(system(command), 0, "a temporary file is left");
    cr_expect_eq(umount(run.run), 0);
    e2e_end(&run);
}
