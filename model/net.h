/* A network from the text of a .net file, which reads like a table: one node a line, each below its
 * inputs. docs/networks.md is its manual.
 *
 *     name       = mine          # of the network: letters, digits, '_'
 *     parameters = 2815          # optional: trainable floats, a guard against accidents
 *
 *     # node  kind     input         attributes
 *     small   avgpool  image         size=4
 *     logits  dense    small         units=10
 *     guess   softmax  logits
 *     addend  onehot   digit
 *     pairs   outer    guess addend
 *     sum     dense    pairs         units=19
 *
 *     output digit = logits
 *     output sum   = sum
 *
 * Knows nothing of devices. What it makes is model/graph.h. */
#ifndef MODEL_NET_H
#define MODEL_NET_H

#include "common/error.h"
#include "common/lines.h"
#include "model/graph.h"

#define NET_TEXT_MAX LINES_TEXT_MAX /* bytes of a network file */

/* Parses `text` (`size` bytes, need not end in NUL). `origin` names it in errors: "quick.net:12:8:
 * …", line and column. Returns NULL with ERROR_INVALID for anything that cannot be right: syntax,
 * unknown or unused words, nodes without inputs above them, shapes that do not fit (both shapes
 * named), a wrong `parameters` count, limits exceeded. Caller owns the result. */
struct net *net_parse(const char *text, size_t size, const char *origin, struct error *error);

/* Reads a file. `path_or_name`: a path, or the bare name of a network that ships with us, looked
 * for as <name>.net in $DIGITSUM_NETS, model/nets, and, seen from the program's own folder,
 * ../../model/nets (a build in its tree) and ../share/digitsum/nets (installed). What has a '/' or
 * ends in ".net" is a path. ERROR_IO where a file cannot be read, ERROR_INVALID where no folder has
 * the name (all are listed), and as net_parse. */
struct net *net_load(const char *path_or_name, struct error *error);

/* Writes the path at which net_load would find it. -1 with ERROR_INVALID that names the places
 * searched, or when the path does not fit `size`. */
int net_locate(const char *path_or_name, char *path, size_t size, struct error *error);

void net_destroy(struct net **net);

/* A line that sums up and a table (node, kind with what the shapes do not show, input, output
 * shape, parameters with running statistics, multiply-adds; totals last) as text; caller frees.
 * NULL when memory is short. */
char *net_describe(const struct net *net);
/* The same graph for Graphviz; caller frees. NULL when memory is short. */
char *net_dot(const struct net *net);

#endif
