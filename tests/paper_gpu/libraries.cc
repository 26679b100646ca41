// cuDNN, cuBLAS and the rest on paper: handles are made, workspaces are empty, the first algorithm is the best.
#include <cublas_v2.h>
#include <cudnn.h>
#include <cufft.h>
#include <curand.h>
#include <cusparse.h>

#ifdef OF_nccl
#include <nccl.h>
#endif

#include <cstdlib>
#include <cstring>

#define MAKES(Status, function, ...) \
    Status function(__VA_ARGS__) { return *made = (decltype(+*made))malloc(1), Status(0); }

extern "C" {

#ifdef OF_cublas
MAKES(cublasStatus_t, cublasCreate_v2, cublasHandle_t* made)
#endif

#ifdef OF_curand
MAKES(curandStatus_t, curandCreateGenerator, curandGenerator_t* made, curandRngType_t)
#endif

#ifdef OF_cusparse
MAKES(cusparseStatus_t, cusparseCreate, cusparseHandle_t* made)
#endif

#ifdef OF_nccl
MAKES(ncclResult_t, ncclCommInitRank, ncclComm_t* made, int, ncclUniqueId, int)
const char* ncclGetErrorString(ncclResult_t) { return "an error on paper"; }

// Each rank's own share comes back: as if all ranks but this one had sent zeros.
ncclResult_t ncclAllReduce(
    const void* from, void* to, size_t count, ncclDataType_t, ncclRedOp_t, ncclComm_t, cudaStream_t
) {
    return memcpy(to, from, count * 4), ncclSuccess;
}
#endif

#ifdef OF_cudnn
MAKES(cudnnStatus_t, cudnnCreate, cudnnHandle_t* made)
MAKES(cudnnStatus_t, cudnnCreateTensorDescriptor, cudnnTensorDescriptor_t* made)
MAKES(cudnnStatus_t, cudnnCreateFilterDescriptor, cudnnFilterDescriptor_t* made)
MAKES(cudnnStatus_t, cudnnCreateConvolutionDescriptor, cudnnConvolutionDescriptor_t* made)
const char* cudnnGetErrorString(cudnnStatus_t) { return "an error on paper"; }

extern "C++" {
template <typename Result>
static cudnnStatus_t best(int* count, Result* results) {
    memset(results, 0, sizeof *results);
    results->algo = decltype(results->algo)(1);
    return *count = 1, CUDNN_STATUS_SUCCESS;
}
}

cudnnStatus_t cudnnFindConvolutionForwardAlgorithmEx(
    cudnnHandle_t, cudnnTensorDescriptor_t, const void*, cudnnFilterDescriptor_t, const void*,
    cudnnConvolutionDescriptor_t, cudnnTensorDescriptor_t, void*, int, int* count,
    cudnnConvolutionFwdAlgoPerf_t* results, void*, size_t
) {
    return best(count, results);
}
cudnnStatus_t cudnnFindConvolutionBackwardDataAlgorithmEx(
    cudnnHandle_t, cudnnFilterDescriptor_t, const void*, cudnnTensorDescriptor_t, const void*,
    cudnnConvolutionDescriptor_t, cudnnTensorDescriptor_t, void*, int, int* count,
    cudnnConvolutionBwdDataAlgoPerf_t* results, void*, size_t
) {
    return best(count, results);
}
cudnnStatus_t cudnnFindConvolutionBackwardFilterAlgorithmEx(
    cudnnHandle_t, cudnnTensorDescriptor_t, const void*, cudnnTensorDescriptor_t, const void*,
    cudnnConvolutionDescriptor_t, cudnnFilterDescriptor_t, void*, int, int* count,
    cudnnConvolutionBwdFilterAlgoPerf_t* results, void*, size_t
) {
    return best(count, results);
}
cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(
    cudnnHandle_t, const cudnnTensorDescriptor_t, const cudnnFilterDescriptor_t, const cudnnConvolutionDescriptor_t,
    const cudnnTensorDescriptor_t, const int, int* count, cudnnConvolutionFwdAlgoPerf_t* results
) {
    return best(count, results);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(
    cudnnHandle_t, const cudnnFilterDescriptor_t, const cudnnTensorDescriptor_t, const cudnnConvolutionDescriptor_t,
    const cudnnTensorDescriptor_t, const int, int* count, cudnnConvolutionBwdDataAlgoPerf_t* results
) {
    return best(count, results);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    cudnnHandle_t, const cudnnTensorDescriptor_t, const cudnnTensorDescriptor_t, const cudnnConvolutionDescriptor_t,
    const cudnnFilterDescriptor_t, const int, int* count, cudnnConvolutionBwdFilterAlgoPerf_t* results
) {
    return best(count, results);
}
cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(
    cudnnHandle_t, const cudnnTensorDescriptor_t, const cudnnFilterDescriptor_t, const cudnnConvolutionDescriptor_t,
    const cudnnTensorDescriptor_t, cudnnConvolutionFwdAlgo_t, size_t* size
) {
    return *size = 0, CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(
    cudnnHandle_t, const cudnnFilterDescriptor_t, const cudnnTensorDescriptor_t, const cudnnConvolutionDescriptor_t,
    const cudnnTensorDescriptor_t, cudnnConvolutionBwdDataAlgo_t, size_t* size
) {
    return *size = 0, CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(
    cudnnHandle_t, const cudnnTensorDescriptor_t, const cudnnTensorDescriptor_t, const cudnnConvolutionDescriptor_t,
    const cudnnFilterDescriptor_t, cudnnConvolutionBwdFilterAlgo_t, size_t* size
) {
    return *size = 0, CUDNN_STATUS_SUCCESS;
}
#endif

}  // extern "C"
