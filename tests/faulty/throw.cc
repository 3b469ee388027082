// C++ that lets an exception out of a function that C calls.
extern "C" int throws(int x) { if (x) throw x; return 0; }
