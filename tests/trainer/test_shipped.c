/* What ships beside the programs: every network loads and states its parameters, every recipe
 * belongs to a network and is accepted, and the lists of bench/ name only what there is. */
#include "model/net.h"
#include "trainer/settings.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void expect_network(const char *path, bool counted) {
    struct error error = {0};
    struct net *net = net_load(path, &error);
    cr_assert_not_null(net, "%s", error.text);
    cr_expect(!counted || strstr(net->text, "\nparameters = "), "%s does not say how many", path);
    net_destroy(&net);
}

/* The trainer would take it: nothing misspelt, nothing out of its bounds, and a length is given. */
static void expect_recipe(const char *path) {
    struct settings settings = {0};
    struct goal goal;
    struct error error = {0};
    char *words[] = {(char *)"trainer", (char *)"--run-dir", (char *)"r", NULL};
    struct options *options = options_parse(&trainer_program, 3, words, &settings, &error);
    cr_assert_not_null(options, "%s", error.text);
    cr_expect_eq(options_read_file(options, path, &error), 0, "%s", error.text);
    cr_expect_eq(settings_check(&settings, &goal, &error), 0, "%s: %s", path, error.text);
    cr_expect_gt(settings.epochs, 0, "%s says no epochs", path);
    options_destroy(&options);
}

static void for_each(const char *pattern, size_t least, void visit(const char *path)) {
    glob_t found = {0};
    cr_assert_eq(glob(pattern, 0, NULL, &found), 0, "nothing is %s", pattern);
    cr_expect_geq(found.gl_pathc, least, "too little is %s", pattern);
    for (size_t i = 0; i < found.gl_pathc; i++)
        visit(found.gl_pathv[i]);
    globfree(&found);
}

static void visit_network(const char *path) {
    char recipe[256];
    expect_network(path, true);
    snprintf(recipe, sizeof recipe, "%.*s.recipe", (int)strlen(path) - 4, path);
    cr_expect_eq(access(recipe, R_OK), 0, "%s has no recipe", path);
}

static void visit_recipe(const char *path) {
    char net[256];
    const char *name = strrchr(path, '/') + 1;
    snprintf(net, sizeof net, "model/nets/%.*s.net", (int)strcspn(name, "."), name);
    cr_expect_eq(access(net, R_OK), 0, "%s belongs to no network", path);
    expect_recipe(path);
}

static void visit_study(const char *path) {
    expect_network(path, false);
}

Test(shipped, networks_and_their_recipes) {
    for_each("model/nets/*.net", 7, visit_network);
    for_each("model/nets/*.recipe", 7, visit_recipe);
}

Test(shipped, networks_of_the_studies) {
    for_each("bench/heads/*.net", 7, visit_study);
    for_each("bench/heads/*.recipe", 1, expect_recipe);
}

/* A section is a network, perhaps with a recipe's name; `recipe = FILE` is a file. */
static void visit_list(const char *path) {
    char line[PATH_MAX], name[256], file[400];
    FILE *list = fopen(path, "re");
    cr_assert_not_null(list, "%s", path);
    while (fgets(line, sizeof line, list)) {
        if (sscanf(line, "recipe = %255s", name) == 1) {
            cr_expect_eq(access(name, R_OK), 0, "%s names %s", path, name);
        } else if (sscanf(line, "[%255[^]]]", name) == 1) {
            char *recipe = strchr(name, ':');
            if (recipe)
                *recipe++ = '\0';
            bool is_file = strchr(name, '/') != NULL;
            snprintf(file, sizeof file, "%s%s%s", is_file ? "" : "model/nets/", name,
                     is_file ? "" : ".net");
            cr_expect_eq(access(file, R_OK), 0, "%s names %s", path, file);
            snprintf(file, sizeof file, "model/nets/%s.%s.recipe", name, recipe ? recipe : "");
            cr_expect(!recipe || access(file, R_OK) == 0, "%s names %s", path, file);
        }
    }
    fclose(list);
}

Test(shipped, lists_name_what_there_is) {
    for_each("bench/*.ini", 3, visit_list);
}
