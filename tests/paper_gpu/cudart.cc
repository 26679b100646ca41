// CUDA's runtime on paper: memory is the host's, copies are made, kernels are launched into the void.
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>

extern "C" {

static cudaError_t allocate(void** pointer, size_t size) {
    *pointer = calloc(1, size ? size : 1);
    return *pointer ? cudaSuccess : cudaErrorMemoryAllocation;
}

static cudaError_t make(void** handle) {
    *handle = malloc(1);
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) { return *count = GPUS, cudaSuccess; }
cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaDriverGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
    memset(properties, 0, sizeof *properties);
    strcpy(properties->name, "Paper Card");
    properties->major = 8;
    properties->minor = 6;
    properties->multiProcessorCount = 82;
    properties->maxThreadsPerBlock = 1024;
    properties->warpSize = 32;
    properties->totalGlobalMem = size_t(24) << 30;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) { return *value = 1024, cudaSuccess; }
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
    *free = *total = size_t(24) << 30;
    return cudaSuccess;
}

cudaError_t cudaMalloc(void** pointer, size_t size) { return allocate(pointer, size); }
cudaError_t cudaMallocHost(void** pointer, size_t size) { return allocate(pointer, size); }
cudaError_t cudaHostAlloc(void** pointer, size_t size, unsigned) { return allocate(pointer, size); }
cudaError_t cudaMallocManaged(void** pointer, size_t size, unsigned) { return allocate(pointer, size); }
cudaError_t cudaFree(void* pointer) { return free(pointer), cudaSuccess; }
cudaError_t cudaFreeHost(void* pointer) { return free(pointer), cudaSuccess; }
cudaError_t cudaMemset(void* pointer, int value, size_t size) { return memset(pointer, value, size), cudaSuccess; }
cudaError_t cudaMemsetAsync(void* pointer, int value, size_t size, cudaStream_t) {
    return memset(pointer, value, size), cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind) {
    return memcpy(to, from, size), cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind, cudaStream_t) {
    return memcpy(to, from, size), cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) { return make((void**)stream); }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) { return make((void**)stream); }
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned, int) { return make((void**)stream); }
cudaError_t cudaEventCreate(cudaEvent_t* event) { return make((void**)event); }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) { return make((void**)event); }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) {
    return *milliseconds = 1, cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t, cudaHostFn_t function, void* data) {
    return function(data), cudaSuccess;
}

const char* cudaGetErrorName(cudaError_t) { return "an error on paper"; }
const char* cudaGetErrorString(cudaError_t) { return "an error on paper"; }

// What nvcc's code calls: to register its kernels, and to launch one.
void** __cudaRegisterFatBinary(void*) {
    static void* handle;
    return &handle;
}

}  // extern "C"
