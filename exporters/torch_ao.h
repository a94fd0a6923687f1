// The archive that torch.save writes (torch_archive.h) of the state dict of a
// model after torch.ao.quantization.quantize_dynamic: load_state_dict reads it,
// strictly. Checked against torch 2.13.
//
// A weight of the torch-ao storage (ir/quant_storage.h) is a tensor of qint8,
// per_channel_affine along axis 0, called Q(name) here; that of an embedding is
// one of quint8, per_channel_affine_float_qparams. With it comes the bias of
// its module, of float32, or None. Everything else is as in torch_pt.h.
//
//   Linear M     M.scale = 1.0, M.zero_point = 0: of its output, not used
//                M._packed_params.dtype = torch.qint8
//                M._packed_params._packed_params = (Q(M.weight), M.bias)
//   LSTM, GRU M  M._all_weight_values.I.param = RNN([b_ih, b_hh],
//                                 [LINEAR(w_ih, b_ih), LINEAR(w_hh, b_hh)])
//                for each direction of each layer, I = 0, 1, ...
//   cell M       M._packed_weight_ih = LINEAR(w_ih, b_ih), and the same for hh
//   convolution  M.weight = Q(M.weight), M.bias = M.bias
//     M          M.scale = 1.0, M.zero_point = 0: of its output, not used
//   embedding M  M._packed_params.dtype = torch.quint8
//                M._packed_params._packed_weight = Q(M.weight)
//
// where LINEAR and RNN are objects of C++ classes, which torch makes of what
// it calls their state:
//
//   LINEAR(w, b) = ScriptObject((Q(w), b),
//                  "__torch__.torch.classes.quantized.LinearPackedParamsBase")
//   RNN(b, l)    = ScriptObject(("quantized_dynamic", b, [], [1], l),
//                  "__torch__.torch.classes.rnn.CellParamsBase")
//
// The 1 is reduce_range, which is about activations: weights have the whole
// range of int8 in torch too. torch.load(weights_only=True) refuses objects of
// C++ classes unless torch.ScriptObject is among its safe globals; files
// without LSTM, GRU and cells need nothing.
//
// The dict has the attribute _metadata, {module: {"version": number}}: 4 for
// Linear and 3 for its _packed_params, 2 for LSTM and GRU, 1 for the others.
// Without it torch looks for the names of older versions.

#ifndef MONOQUANT_EXPORTERS_TORCH_AO_H_
#define MONOQUANT_EXPORTERS_TORCH_AO_H_

#include "exporters/exporter.h"

namespace monoquant {

// Layout refuses, with FailedPrecondition, what torch_pt.h does, weights that
// are quantized in another storage, modules of which not all is there or whose
// bias is not of float32, and tensors with a name of torch's own.
const Exporter& TorchAoExporter();

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_TORCH_AO_H_
