// The numbers that the codes of nf4 and fp4 stand for, by code: the tables of
// bitsandbytes 0.50.2, of which the largest number is 1.

#ifndef MONOQUANT_IR_CODEBOOKS_H_
#define MONOQUANT_IR_CODEBOOKS_H_

namespace monoquant {

// Quantiles of a normal distribution, in order.
alignas(64) inline constexpr float kNf4Numbers[16] = {-1.0f,
                                                      -0.6961928009986877f,
                                                      -0.5250730514526367f,
                                                      -0.39491748809814453f,
                                                      -0.28444138169288635f,
                                                      -0.18477343022823334f,
                                                      -0.09105003625154495f,
                                                      0.0f,
                                                      0.07958029955625534f,
                                                      0.16093020141124725f,
                                                      0.24611230194568634f,
                                                      0.33791524171829224f,
                                                      0.44070982933044434f,
                                                      0.5626170039176941f,
                                                      0.7229568362236023f,
                                                      1.0f};

// Floats of 4 bits to 12, as 12ths: a sign and 0, 1/16, 8, 12, 4, 6, 2, 3.
alignas(64) inline constexpr float kFp4Numbers[16] = {0.0f,
                                                      0.0052083334885537624f,
                                                      0.6666666865348816f,
                                                      1.0f,
                                                      0.3333333432674408f,
                                                      0.5f,
                                                      0.1666666716337204f,
                                                      0.25f,
                                                      0.0f,
                                                      -0.0052083334885537624f,
                                                      -0.6666666865348816f,
                                                      -1.0f,
                                                      -0.3333333432674408f,
                                                      -0.5f,
                                                      -0.1666666716337204f,
                                                      -0.25f};

}  // namespace monoquant

#endif  // MONOQUANT_IR_CODEBOOKS_H_
