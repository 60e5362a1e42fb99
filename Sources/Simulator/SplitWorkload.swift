//===----------------------------------------------------------------------===//
// One workload through several front ends.
//===----------------------------------------------------------------------===//

public import Workload

extension Workload {
    /// Front ends that the workload comes through when nobody says: 16 for a generated one of more than 20,000 requests
    /// per second, which one thread could not make as fast as several simulate them; else 1. It follows from the
    /// workload alone, so that every fleet sees the same requests.
    var frontEnds: Int {
        guard case .builtIn(let name) = description.origin, closedLoop == nil, description.options.stages == nil else {
            return 1
        }
        return (description.options.rate ?? name.defaultRate) * description.options.scale > 20_000 ? 16 : 1
    }

    /// As many sources as there are front ends, with request and session numbers that do not collide.
    ///
    /// A generated workload becomes independent generators, each with an equal part of the rate (a sum of independent
    /// Poisson processes is one). A trace cannot be split so without changing what it says, and goes through one front
    /// end.
    public func sources(frontEnds: Int) throws -> [any RequestSource] {
        if frontEnds == 1 { return [try makeSource()] }
        guard case .builtIn = description.origin else {
            throw SimulationError(
                description: "'\(description)' is a trace and goes through one front end; "
                    + "several need a workload that is generated")
        }
        if let limit = description.options.limit, limit < frontEnds {
            throw SimulationError(
                description: "limit=\(limit) leaves some of \(frontEnds) front ends without a request")
        }
        return try (0..<frontEnds).map { number in
            var part = description
            part.options.scale /= Double(frontEnds)
            part.options.seed = RandomStream.mix(description.options.seed &+ UInt64(number) &* 0x9E37_79B9_7F4A_7C15)
            part.options.limit = description.options.limit.map {
                $0 * (number + 1) / frontEnds - $0 * number / frontEnds
            }
            return PartialSource(try Workload(part).makeSource(), number: UInt64(number), of: UInt64(frontEnds))
        }
    }
}

/// One of several parts of a workload, renumbered so that the parts' requests and sessions differ.
final class PartialSource: RequestSource {
    private let source: any RequestSource
    private let number: UInt64
    private let count: UInt64

    init(_ source: any RequestSource, number: UInt64, of count: UInt64) {
        self.source = source
        self.number = number
        self.count = count
    }

    var reading: ReadingCounts { source.reading }

    func next() throws(WorkloadError) -> Request? {
        guard var request = try source.next() else { return nil }
        request.id = request.id &* count &+ number
        if request.prefix.session != 0 { request.prefix.session = request.prefix.session &* count &+ number }
        return request
    }
}
