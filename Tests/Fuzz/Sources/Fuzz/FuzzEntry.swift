//===----------------------------------------------------------------------===//
// What libFuzzer calls: one input, given to the parser that FUZZ_TARGET names.
//===----------------------------------------------------------------------===//

import Foundation

/// A parser of bytes from outside. Errors that it throws are its business; what must never happen is a trap, a read outside the
/// bytes, or an answer that takes for ever.
enum FuzzTarget: String, CaseIterable {
    case body, yaml, workload, config, tokenizer

    func run(_ bytes: UnsafeRawBufferPointer) {
        switch self {
        case .body: fuzzBody(bytes)
        case .yaml: fuzzYAML(bytes)
        case .workload: fuzzWorkload(bytes)
        case .config: fuzzConfig(bytes)
        case .tokenizer: fuzzTokenizer(bytes)
        }
    }

    static let chosen: FuzzTarget = {
        let name = ProcessInfo.processInfo.environment["FUZZ_TARGET"] ?? ""
        guard let target = FuzzTarget(rawValue: name) else {
            fatalError("FUZZ_TARGET must be one of \(allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return target
    }()
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    FuzzTarget.chosen.run(UnsafeRawBufferPointer(start: start, count: count))
    return 0
}
