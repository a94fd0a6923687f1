// Giving a file or directory another name. Everything gives 0 or an errno.

#ifndef MONOQUANT_IR_RENAME_FILE_H_
#define MONOQUANT_IR_RENAME_FILE_H_

#include <string>

namespace monoquant {

// The entry `name` of an open directory.
struct Entry {
  int directory_fd;
  const std::string& name;
};

// EEXIST if there is something under the new name, even if it appeared a moment
// ago.
int RenameNew(Entry from, Entry to);

// Replaces what is there, if it is of the same kind.
int RenameOver(Entry from, Entry to);

// Gives each the name of the other at once. EINVAL or ENOSYS where the system
// cannot.
int RenameExchange(Entry a, Entry b);

}  // namespace monoquant

#endif  // MONOQUANT_IR_RENAME_FILE_H_
