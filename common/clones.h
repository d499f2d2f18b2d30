/* Hot loops that the compiler may vectorise are built for several instruction sets and chosen when
 * the program starts, by what the processor has: the name of a model in place of a level would
 * choose the slowest clone on every other model and on all of AMD's. Every clone must give the same
 * bits: contraction is off, and sums of floats have explicit lanes. The sanitizers cannot
 * instrument the choice, which happens before they are ready: the Makefile sets NO_CLONES for them.
 * clang lets the choice be seen outside the file, even of a static function: no two functions with
 * clones may have the same name. */
#ifndef COMMON_CLONES_H
#define COMMON_CLONES_H

#if defined(__x86_64__) && !defined(NO_CLONES)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif

#endif
