/* See traits.h. */
#include "model/traits.h"

#include "common/build.h"

/* A text from the system may be anything; JSON takes only UTF-8. */
static json_t *text_of(const char *text) {
    json_t *value = json_string(text);
    return value ? value : json_string("unknown");
}

json_t *traits_to_json(const char *engine, const char *precision,
                       const struct engine_traits *traits) {
    return json_pack("{s:s, s:s, s:i, s:o, s:o, s:o, s:o}", "engine", engine, "precision",
                     precision, "threads", traits->threads, "instructions",
                     text_of(traits->instructions), "library", text_of(traits->built_on),
                     "processor", text_of(traits->processor), "program", text_of(build_text));
}
