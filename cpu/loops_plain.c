/* The hot loops for any processor. */
#define LOOPS_TABLE loops_plain
#include "cpu/loops_body.h"
