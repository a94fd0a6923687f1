#include "frontends/pickle/stdlib_modules.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace monoquant {
namespace {

// Names, with a blank before and behind each: a table of four hundred texts
// would be of addresses, for the most part.

// The top-level modules of CPython 3.8 to 3.14 on all platforms, private ones
// included, and those of 2.7 that can do harm.
constexpr absl::string_view kModules =
    " BaseHTTPServer Bastion CGIHTTPServer ConfigParser Cookie "
    "DocXMLRPCServer HTMLParser MimeWriter Queue SimpleHTTPServer "
    "SimpleXMLRPCServer SocketServer _LWPCookieJar _MozillaCookieJar "
    "__future__ __hello__ __phello__ _abc _aix_support _android_support "
    "_apple_support _ast _ast_unparse _asyncio _bisect _blake2 _bootlocale "
    "_bootsubprocess _bz2 _codecs _codecs_cn _codecs_hk _codecs_iso2022 "
    "_codecs_jp _codecs_kr _codecs_tw _collections _collections_abc "
    "_colorize _compat_pickle _compression _contextvars _crypt _csv _ctypes "
    "_ctypes_test _curses _curses_panel _datetime _dbm _decimal "
    "_dummy_thread _dummy_threading _elementtree _frozen_importlib "
    "_frozen_importlib_external _functools _gdbm _hashlib _heapq _hmac _imp "
    "_interpchannels _interpqueues _interpreters _io _ios_support _json "
    "_locale _lsprof _lzma _markupbase _md5 _msi _multibytecodec "
    "_multiprocessing _opcode _opcode_metadata _operator _osx_support "
    "_overlapped _peg_parser _pickle _posixshmem _posixsubprocess _py_abc "
    "_py_warnings _pydatetime _pydecimal _pyio _pylong _pyrepl _queue "
    "_random _remote_debugging _scproxy _sha _sha1 _sha2 _sha256 _sha3 "
    "_sha512 _signal _sitebuiltins _socket _sqlite3 _sre _ssl _stat "
    "_statistics _string _strptime _struct _suggestions _symtable "
    "_sysconfig _templatelib _testbuffer _testcapi _testimportmultiple "
    "_testinternalcapi _testmultiphase _thread _threading_local _tkinter "
    "_tokenize _tracemalloc _typing _uuid _warnings _weakref _weakrefset "
    "_winapi _wmi _xxsubinterpreters _zoneinfo _zstd abc aifc annotationlib "
    "antigravity anydbm argparse array ast asynchat asyncio asyncore atexit "
    "audioop base64 bdb binascii binhex bisect bsddb builtins bz2 cProfile "
    "calendar cgi cgitb chunk cmath cmd code codecs codeop collections "
    "colorsys compileall compiler compression concurrent configparser "
    "contextlib contextvars cookielib copy copyreg crypt csv ctypes curses "
    "dataclasses datetime dbhash dbm decimal difflib dis distutils doctest "
    "dumbdbm dummy_thread dummy_threading email encodings ensurepip enum "
    "errno faulthandler fcntl filecmp fileinput fnmatch formatter fractions "
    "ftplib functools future_builtins gc gdbm genericpath getopt getpass "
    "gettext glob graphlib grp gzip hashlib heapq hmac html htmlentitydefs "
    "http httplib idlelib ihooks imaplib imghdr imp importlib imputil "
    "inspect io ipaddress itertools json keyword lib2to3 linecache locale "
    "logging lzma macpath macurl2path mailbox mailcap marshal math "
    "mimetools mimetypes mmap modulefinder msilib msvcrt multiprocessing "
    "netrc nis nntplib nt ntpath nturl2path numbers opcode operator "
    "optparse os ossaudiodev parser pathlib pdb pickle pickletools pipes "
    "pkgutil platform plistlib popen2 poplib posix posixpath pprint profile "
    "pstats pty pwd py_compile pyclbr pydoc pydoc_data pyexpat queue quopri "
    "random re readline reprlib resource rexec rlcompleter robotparser "
    "runpy sched secrets select selectors shelve shlex shutil signal site "
    "smtpd smtplib sndhdr socket socketserver spwd sqlite3 sre sre_compile "
    "sre_constants sre_parse ssl stat statistics string stringprep struct "
    "subprocess sunau symbol symtable sys sysconfig syslog tabnanny tarfile "
    "telnetlib tempfile termios test textwrap this thread threading time "
    "timeit tkinter token tokenize tomllib trace traceback tracemalloc tty "
    "turtle turtledemo types typing unicodedata unittest urllib urllib2 "
    "urlparse uu uuid venv warnings wave weakref webbrowser whichdb winreg "
    "winsound wsgiref xdrlib xml xmlrpc xmlrpclib xxlimited xxsubtype "
    "zipapp zipfile zipimport zlib zoneinfo ";

// Modules whose names people also give to their own folders. They have no
// submodules, so "code.nets" is somebody's folder.
constexpr absl::string_view kEverydayNames =
    " calendar chunk code copy formatter operator parser platform profile "
    "queue random resource select signal site statistics string struct "
    "symbol this token tokenize trace types ";

bool IsListed(absl::string_view name, absl::string_view names) {
  return !absl::StrContains(name, ' ') &&
         absl::StrContains(names, absl::StrCat(" ", name, " "));
}

}  // namespace

bool IsStdlibModule(absl::string_view module) {
  const size_t dot = module.find('.');
  const absl::string_view top = module.substr(0, dot);
  if (dot != module.npos && IsListed(top, kEverydayNames)) return false;
  return IsListed(top, kModules);
}

}  // namespace monoquant
