#include "common/notices.h"

#include <criterion/criterion.h>
#include <string.h>

Test(notices, each_sentence_once_and_no_more_than_there_is_room_for) {
    struct notices notices = {0};
    cr_assert_eq(notices_add(&notices, "class %d is missing", 4), 1);
    cr_assert_eq(notices_add(&notices, "class %d is missing", 4), 0);
    cr_assert_eq(notices.count, 1);
    cr_assert_str_eq(notices.texts[0], "class 4 is missing");
    for (int i = 1; i < NOTICES_MAX + 3; i++)
        notices_add(&notices, "number %d", i);
    cr_assert_eq(notices.count, NOTICES_MAX);
    cr_assert_eq(notices.dropped, 3);
}

Test(notices, a_long_sentence_is_cut_between_characters) {
    struct notices notices = {0};
    char text[2 * NOTICE_SIZE];
    memset(text, 'a', sizeof text);
    memcpy(text + NOTICE_SIZE - 3, "\xe2\x82\xac",
           4); /* the euro sign: its last byte has no room */
    notices_add(&notices, "%s", text);
    cr_assert_eq(strlen(notices.texts[0]), NOTICE_SIZE - 3);
    memcpy(text + NOTICE_SIZE - 4, "\xe2\x82\xac", 4);
    notices_add(&notices, "%s", text);
    cr_assert_eq(strlen(notices.texts[1]), NOTICE_SIZE - 1);
}

Test(notices, control_characters_cannot_move_the_cursor) {
    struct notices notices = {0};
    notices_add(&notices, "a\x1b[2J\nb");
    cr_assert_str_eq(notices.texts[0], "a?[2J?b");
    notices_add(&notices, "\xc2\x9b"
                          "2J \xe2\x80\xae"
                          "right \xc3\xbc");
    cr_assert_str_eq(notices.texts[1], "?2J ?right \xc3\xbc", "of eight bits, and of direction");
}

Test(notices, what_is_not_utf_8_never_reaches_json) {
    struct notices notices = {0};
    notices_add(&notices, "%s",
                "a\xff"
                "b\xc3 c\xc0\xaf\xed\xa0\x80 \xe2\x82");
    cr_assert_str_eq(notices.texts[0], "a?b? c??? ??");
}
