/// How a number is stored or multiplied.
public enum Precision: String, Sendable, Hashable, CaseIterable, Encodable, CodingKeyRepresentable {
    case fp32
    case tf32
    case bf16
    case fp16
    /// 8-bit floats with scales too coarse to count: per tensor, per channel, or per block of 128 x 128.
    case fp8
    case int8
    /// OCP microscaling: one 8-bit scale for 32 elements.
    case mxfp8
    case mxfp4
    /// NVIDIA's 4-bit floats: one 8-bit scale for 16 elements.
    case nvfp4
    /// 4-bit integers in groups of 128 with a 16-bit scale (AWQ, GPTQ).
    case int4

    /// Stored bits of one element, its share of the block scale included.
    public var bitsPerElement: Double {
        switch self {
        case .fp32, .tf32: 32
        case .bf16, .fp16: 16
        case .fp8, .int8: 8
        case .mxfp8: 8.25
        case .mxfp4: 4.25
        case .nvfp4: 4.5
        case .int4: 4.125
        }
    }

    /// Stored bytes of one element, its share of the block scale included.
    public var bytesPerElement: Double { bitsPerElement / 8 }
}
