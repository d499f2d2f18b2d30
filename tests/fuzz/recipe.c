/* Fuzz target: a recipe file, read into the trainer's settings. */
#include "tests/fuzz/input.h"
#include "trainer/settings.h"

#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct settings settings = {0};
    struct error error;
    char path[INPUT_PATH], *words[] = {(char *)"trainer", NULL};
    struct options *options = options_parse(&trainer_program, 1, words, &settings, &error);
    if (!options)
        abort();
    int file = input_file(bytes, size, path);
    if (options_read_file(options, path, &error) == 0)
        json_decref(options_to_json(options, OPTION_SETTING));
    options_destroy(&options);
    close(file);
    return 0;
}
