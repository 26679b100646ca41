// What is compiled once for many files (ecgan/runtime/precompiled.py): first of all that each file includes.
// Each of them would include what it needs of this by itself.
#include <algorithm>
#include <cassert>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <functional>
#include <iomanip>
#include <iostream>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <vector>
#ifdef _OPENMP  // an operator, which begins with the line that follows
#define JIT 1
#include <omp.h>
#else
#include <Python.h>
#endif
#include "common.h"
#include "var.h"
#include "op.h"
#include "ops/op_register.h"
#include "fused_op.h"
#ifndef _OPENMP
#include "executor.h"
#include "pyjt/py_converter.h"
#include "pyjt/py_arg_printer.h"
#endif
