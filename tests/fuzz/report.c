/* Fuzz target: an evaluations.jsonl that an evaluator finds, and the pictures of what is in it.
 * What was read must be read again as it is. */
#include "evaluator/report_file.h"
#include "report/pictures.h"
#include "tests/fuzz/input.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[INPUT_FOLDER], path[96], plots[96];

static size_t read_once(void) {
    struct error error;
    size_t count = 0;
    struct report_file *file = report_open(path, &error);
    if (!file)
        return SIZE_MAX;
    report_list(file, &count);
    report_close(&file);
    return count;
}

static void draw(void) {
    struct error error;
    struct results results;
    if (results_read(folder, &results, &error) != 0)
        return;
    if (pictures_draw(&results, plots, &error) != 0)
        abort();
    results_free(&results);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    if (!folder[0]) {
        input_folder("report", folder);
        snprintf(path, sizeof path, "%s/evaluations.jsonl", folder);
        snprintf(plots, sizeof plots, "%s/plots", folder);
    }
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0 || write(file, bytes, size) != (ssize_t)size)
        abort();
    close(file);
    draw();
    size_t count = read_once();
    if (count != SIZE_MAX && read_once() != count)
        abort();
    return 0;
}
