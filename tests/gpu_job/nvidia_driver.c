/* Just enough of NVIDIA's driver for a real FFmpeg to be refused by it in each of its ways. It encodes nothing.
 *
 * Built twice, as libcuda.so.1 (-DCUDA) and as libnvidia-encode.so.1. What it answers is in the environment:
 * DRIVER_API (the NVENC API, major << 4 | minor), CARDS (how many), CUDA_ERROR, SESSION_ERROR (NVENCSTATUS).
 * Source: nv-codec-headers, ffnvcodec/dynlink_loader.h (which functions are looked up) and nvEncodeAPI.h.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int told(const char *name, int otherwise) {
    const char *value = getenv(name);
    return value ? atoi(value) : otherwise;
}

#ifdef CUDA
int cuInit(unsigned flags) { return told("CUDA_ERROR", 0); }
int cuDeviceGetCount(int *count) { *count = told("CARDS", 1); return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDeviceGetName(char *name, int size, int device) { strncpy(name, "NVIDIA L4", size); return 0; }
int cuDeviceComputeCapability(int *major, int *minor, int device) { *major = 8; *minor = 9; return 0; }
int cuCtxCreate_v2(void **context, unsigned flags, int device) { *context = &cuInit; return 0; }
int cuGetErrorName(int error, const char **text) {
    *text = error == 100 ? "CUDA_ERROR_NO_DEVICE" : "CUDA_ERROR_UNKNOWN";
    return 0;
}
int cuGetErrorString(int error, const char **text) {
    *text = error == 100 ? "no CUDA-capable device is detected" : "unknown error";
    return 0;
}

/* FFmpeg wants to find these, and comes to call few of them. */
#define NOTHING(name) int name(void) { return 0; }
NOTHING(cuArray3DCreate_v2) NOTHING(cuArray3DGetDescriptor_v2) NOTHING(cuArrayCreate_v2) NOTHING(cuArrayDestroy)
NOTHING(cuArrayGetPlane) NOTHING(cuCtxDestroy_v2) NOTHING(cuCtxGetCurrent) NOTHING(cuCtxGetDevice)
NOTHING(cuCtxGetStreamPriorityRange) NOTHING(cuCtxPopCurrent_v2) NOTHING(cuCtxPushCurrent_v2) NOTHING(cuCtxSetLimit)
NOTHING(cuCtxSynchronize) NOTHING(cuDestroyExternalMemory) NOTHING(cuDestroyExternalSemaphore)
NOTHING(cuDeviceGetAttribute) NOTHING(cuDeviceGetByPCIBusId) NOTHING(cuDeviceGetLuid) NOTHING(cuDeviceGetPCIBusId)
NOTHING(cuDeviceGetUuid) NOTHING(cuDeviceGetUuid_v2) NOTHING(cuDevicePrimaryCtxGetState)
NOTHING(cuDevicePrimaryCtxRelease) NOTHING(cuDevicePrimaryCtxReset) NOTHING(cuDevicePrimaryCtxRetain)
NOTHING(cuDevicePrimaryCtxSetFlags) NOTHING(cuDriverGetVersion) NOTHING(cuEGLStreamConsumerDisconnect)
NOTHING(cuEGLStreamProducerConnect) NOTHING(cuEGLStreamProducerDisconnect) NOTHING(cuEGLStreamProducerPresentFrame)
NOTHING(cuEGLStreamProducerReturnFrame) NOTHING(cuEventCreate) NOTHING(cuEventDestroy_v2) NOTHING(cuEventQuery)
NOTHING(cuEventRecord) NOTHING(cuEventSynchronize) NOTHING(cuExternalMemoryGetMappedBuffer)
NOTHING(cuExternalMemoryGetMappedMipmappedArray) NOTHING(cuGLGetDevices_v2) NOTHING(cuGraphicsGLRegisterImage)
NOTHING(cuGraphicsMapResources) NOTHING(cuGraphicsResourceGetMappedPointer_v2)
NOTHING(cuGraphicsSubResourceGetMappedArray) NOTHING(cuGraphicsUnmapResources) NOTHING(cuGraphicsUnregisterResource)
NOTHING(cuImportExternalMemory) NOTHING(cuImportExternalSemaphore) NOTHING(cuLaunchHostFunc) NOTHING(cuLaunchKernel)
NOTHING(cuLinkAddData) NOTHING(cuLinkComplete) NOTHING(cuLinkCreate) NOTHING(cuLinkDestroy) NOTHING(cuMemAllocAsync)
NOTHING(cuMemAllocManaged) NOTHING(cuMemAllocPitch_v2) NOTHING(cuMemAlloc_v2) NOTHING(cuMemFreeAsync)
NOTHING(cuMemFreeHost) NOTHING(cuMemFree_v2) NOTHING(cuMemHostAlloc) NOTHING(cuMemcpy) NOTHING(cuMemcpy2DAsync_v2)
NOTHING(cuMemcpy2D_v2) NOTHING(cuMemcpyAsync) NOTHING(cuMemcpyDtoDAsync_v2) NOTHING(cuMemcpyDtoD_v2)
NOTHING(cuMemcpyDtoHAsync_v2) NOTHING(cuMemcpyDtoH_v2) NOTHING(cuMemcpyHtoDAsync_v2) NOTHING(cuMemcpyHtoD_v2)
NOTHING(cuMemsetD16Async) NOTHING(cuMemsetD2D16Async) NOTHING(cuMemsetD2D32Async) NOTHING(cuMemsetD2D8Async)
NOTHING(cuMemsetD32Async) NOTHING(cuMemsetD8Async) NOTHING(cuMipmappedArrayDestroy)
NOTHING(cuMipmappedArrayGetLevel) NOTHING(cuModuleGetFunction) NOTHING(cuModuleGetGlobal) NOTHING(cuModuleLoadData)
NOTHING(cuModuleUnload) NOTHING(cuSignalExternalSemaphoresAsync) NOTHING(cuStreamAddCallback)
NOTHING(cuStreamCreate) NOTHING(cuStreamCreateWithPriority) NOTHING(cuStreamDestroy_v2) NOTHING(cuStreamQuery)
NOTHING(cuStreamSynchronize) NOTHING(cuStreamWaitEvent) NOTHING(cuTexObjectCreate) NOTHING(cuTexObjectDestroy)
NOTHING(cuWaitExternalSemaphoresAsync)
#else
static int refuse(void) { return told("SESSION_ERROR", 10); }

int NvEncodeAPIGetMaxSupportedVersion(uint32_t *version) { *version = told("DRIVER_API", 12 << 4 | 1); return 0; }

struct functions { uint32_t version, reserved; void *functions[40]; };
int NvEncodeAPICreateInstance(struct functions *list) {
    for (int i = 0; i < 40; i++) list->functions[i] = (void *)refuse;
    return 0;
}
#endif
