/* Fuzz target: an evaluations.jsonl that an evaluator finds, and the pictures of what is in it.
 * What was read must be read again as it is. */
#include "evaluator/plot.h"
#include "evaluator/report_file.h"
#include "tests/fuzz/input.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[INPUT_FOLDER], path[96], plots[96];

static size_t read_once(const struct plot_title *title) {
    struct error error;
    size_t count = 0;
    struct report_file *file = report_open(path, &error);
    if (!file)
        return SIZE_MAX;
    const struct evaluation *list = report_list(file, &count);
    if (title && plot_write(plots, title, list, count, &error) != 0)
        abort();
    report_close(&file);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const struct plot_title title = {"fuzz", "MNIST", false};
    if (!folder[0]) {
        input_folder("report", folder);
        snprintf(path, sizeof path, "%s/evaluations.jsonl", folder);
        snprintf(plots, sizeof plots, "%s/plots", folder);
    }
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0 || write(file, bytes, size) != (ssize_t)size)
        abort();
    close(file);
    size_t count = read_once(&title);
    if (count != SIZE_MAX && read_once(NULL) != count)
        abort();
    return 0;
}
