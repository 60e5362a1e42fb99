//===----------------------------------------------------------------------===//
// The answer of /v1/models.
//===----------------------------------------------------------------------===//

import Workload

enum ModelList {
    /// `id` of the first entry of `data`.
    static func firstName(_ body: [UInt8]) -> String? {
        var name: String?
        do throws(JSONFault) {
            try body.withUnsafeBufferPointer { (bytes) throws(JSONFault) in
                var scanner = JSONScanner(bytes)
                try scanner.object { (key, value) throws(JSONFault) in
                    guard key.spells("data"), value.isArray() else { return try value.skip() }
                    try value.array { (model) throws(JSONFault) in
                        try model.object { (field, content) throws(JSONFault) in
                            if field.spells("id"), name == nil {
                                name = String(decoding: try content.string(), as: UTF8.self)
                            } else {
                                try content.skip()
                            }
                        }
                    }
                }
            }
        } catch {
            return nil
        }
        return name
    }
}
