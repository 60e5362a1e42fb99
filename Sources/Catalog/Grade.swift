/// How well a figure is known, best first. A report rests on its weakest figure, so the order is the order of trust:
/// the maximum of several grades is the grade of what was computed from them.
public enum Grade: String, Sendable, Hashable, CaseIterable, Comparable, Encodable {
    /// Somebody ran it and wrote down what came out.
    case measured
    /// The maker, the seller or a named third party printed it.
    case published
    /// Arithmetic on measured and published figures.
    case derived
    /// Believed, estimated or carried over from something similar. The source says why.
    case assumed

    private var rank: Int {
        switch self {
        case .measured: 0
        case .published: 1
        case .derived: 2
        case .assumed: 3
        }
    }

    public static func < (left: Grade, right: Grade) -> Bool { left.rank < right.rank }
}

extension Sequence where Element == Grade {
    /// The grade of a result that rests on all of these; `measured` when there are none.
    public var weakest: Grade { self.max() ?? .measured }
}
