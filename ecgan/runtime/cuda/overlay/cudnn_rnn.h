// Follows cuDNN 9's own header. cuDNN 9 dropped the old interface to recurrent networks, which Jittor 1.3.11 compiles
// together with its convolutions. Nothing here is recurrent: whoever calls these is told that they are not there.
#ifndef ECGAN_CUDNN_RNN_H_
#define ECGAN_CUDNN_RNN_H_

#define ECGAN_GONE_FROM_CUDNN(function)           \
    template <typename... Arguments>              \
    inline cudnnStatus_t function(Arguments&&...) { \
        return CUDNN_STATUS_NOT_SUPPORTED;        \
    }

ECGAN_GONE_FROM_CUDNN(cudnnSetRNNDescriptor_v6)
ECGAN_GONE_FROM_CUDNN(cudnnGetRNNParamsSize)
ECGAN_GONE_FROM_CUDNN(cudnnGetRNNWorkspaceSize)
ECGAN_GONE_FROM_CUDNN(cudnnGetRNNTrainingReserveSize)
ECGAN_GONE_FROM_CUDNN(cudnnGetRNNLinLayerMatrixParams)
ECGAN_GONE_FROM_CUDNN(cudnnGetRNNLinLayerBiasParams)
ECGAN_GONE_FROM_CUDNN(cudnnRNNForwardInference)
ECGAN_GONE_FROM_CUDNN(cudnnRNNForwardTraining)
ECGAN_GONE_FROM_CUDNN(cudnnRNNBackwardData)
ECGAN_GONE_FROM_CUDNN(cudnnRNNBackwardWeights)

#undef ECGAN_GONE_FROM_CUDNN

#endif
