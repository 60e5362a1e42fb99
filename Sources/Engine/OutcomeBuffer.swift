//===----------------------------------------------------------------------===//
// What a replica says happened, kept in order.
//===----------------------------------------------------------------------===//

/// One call of an `OutcomeSink`.
@frozen public enum Outcome: BitwiseCopyable, Sendable {
    case completed(Completion)
    case produced(TokenEvent)
    case gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32)
}

/// Outcomes in the order in which they came, for a caller in another module: a replica that advances into a buffer is
/// compiled for it, and calls nothing through a table.
///
/// A handle to memory that grows to its largest use; its owner frees it with `deallocate()`.
@frozen public struct OutcomeBuffer: OutcomeSink, BitwiseCopyable, @unchecked Sendable {
    @usableFromInline var base: UnsafeMutablePointer<Outcome>
    @usableFromInline var capacity: Int
    public private(set) var count = 0

    public init() {
        capacity = 16
        base = .allocate(capacity: capacity)
    }

    public func deallocate() { base.deallocate() }

    @inlinable public subscript(index: Int) -> Outcome {
        @inline(__always) get {
            assert(index >= 0 && index < count)
            return base[index]
        }
    }

    public mutating func removeAll() { count = 0 }

    @inline(__always) private mutating func append(_ outcome: Outcome) {
        if count == capacity { grow() }
        (base + count).initialize(to: outcome)
        count &+= 1
    }

    @inline(never) private mutating func grow() {
        let larger = UnsafeMutablePointer<Outcome>.allocate(capacity: 2 * capacity)
        larger.update(from: base, count: count)
        base.deallocate()
        base = larger
        capacity *= 2
    }

    @inline(__always) public mutating func completed(_ completion: Completion) { append(.completed(completion)) }
    @inline(__always) public mutating func produced(_ token: TokenEvent) { append(.produced(token)) }
    @inline(__always)
    public mutating func gaps(firstPicoseconds: Int64, incrementPicoseconds: Int64, steps: Int32, count: Int32) {
        append(
            .gaps(
                firstPicoseconds: firstPicoseconds, incrementPicoseconds: incrementPicoseconds, steps: steps,
                count: count))
    }
}
