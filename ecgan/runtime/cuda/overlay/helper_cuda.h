// Stands in for the header of this name that Jittor 1.3.11 brings, on CUDA 13: that one reads
// cudaDeviceProp::computeMode and clockRate, which are gone. Here is what Jittor's sources use of it.
#ifndef COMMON_HELPER_CUDA_H_
#define COMMON_HELPER_CUDA_H_

#include "utils/log.h"

#include <cuda_runtime_api.h>

inline const char* _cudaGetErrorEnum(cudaError_t error) { return cudaGetErrorName(error); }

// Jittor defines these beside each library's wrapper.
#ifdef CUBLAS_API_H_
const char* _cudaGetErrorEnum(cublasStatus_t error);
#endif
#ifdef CUDNN_H_
const char* _cudaGetErrorEnum(cudnnStatus_t error);
#endif
#ifdef _CUFFT_H_
const char* _cudaGetErrorEnum(cufftResult error);
#endif
#ifdef CUSPARSEAPI
const char* _cudaGetErrorEnum(cusparseStatus_t error);
#endif
#ifdef CURAND_H_
const char* _cudaGetErrorEnum(curandStatus_t error);
#endif
#ifdef NCCL_H_
const char* _cudaGetErrorEnum(ncclResult_t error);
#endif

namespace jittor {
EXTERN_LIB bool peek_logged;
}

// Throws, naming the call, unless it succeeded.
template <typename Result>
void check(Result result, const char* call, const char* file, int line) {
    if (!result) return;
    LOGf << "CUDA error at" << file >> ":" >> line << "code=" >> int(result) << _cudaGetErrorEnum(result) << call;
}

// Logs the first failure of the process and goes on.
template <typename Result>
void peek(Result result, const char* call, const char* file, int line) {
    if (!result || jittor::peek_logged) return;
    jittor::peek_logged = true;
    LOGe << "CUDA error at" << file >> ":" >> line << "code=" >> int(result) << _cudaGetErrorEnum(result) << call;
}

#define checkCudaErrors(call) check((call), #call, __FILE__, __LINE__)
#define peekCudaErrors(call) peek((call), #call, __FILE__, __LINE__)

#endif
