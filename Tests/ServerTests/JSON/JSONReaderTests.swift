//===----------------------------------------------------------------------===//
// The pull parser against Foundation's parser as an oracle.
//===----------------------------------------------------------------------===//

import Foundation
import Testing

@testable import Server

@Suite struct JSONReaderTests {
    /// A document as a tree, to compare two parsers.
    enum Tree: Equatable {
        case null
        case boolean(Bool)
        case number(Double)
        case string(String)
        case array([Tree])
        case object([String: Tree])
    }

    static func tree(_ text: [UInt8]) -> Tree? {
        text.withUnsafeBytes { bytes in
            var reader = JSONReader(bytes)
            do {
                try reader.validateUTF8()
                let tree = try value(&reader)
                try reader.expectEnd()
                return tree
            } catch { return nil }
        }
    }

    private static func value(_ reader: inout JSONReader) throws -> Tree {
        switch try reader.peekKind() {
        case .null:
            _ = try reader.takeNull()
            return .null
        case .boolean: return .boolean(try reader.readBoolean())
        case .number: return .number(try reader.readNumber().double)
        case .string:
            let string = try reader.readString()
            return .string(reader.text(of: string))
        case .array:
            var elements: [Tree] = []
            try reader.enterArray()
            while try reader.nextElement() { elements.append(try value(&reader)) }
            return .array(elements)
        case .object:
            var members: [String: Tree] = [:]
            try reader.enterObject()
            while let key = try reader.nextKey() {
                let name = reader.text(of: key)
                members[name] = try value(&reader)
            }
            return .object(members)
        }
    }

    static func oracle(_ text: [UInt8]) -> Tree? {
        guard let object = try? JSONSerialization.jsonObject(with: Data(text), options: .fragmentsAllowed) else {
            return nil
        }
        return convert(object)
    }

    private static func convert(_ object: Any) -> Tree {
        switch object {
        case let dictionary as [String: Any]: return .object(dictionary.mapValues(convert))
        case let array as [Any]: return .array(array.map(convert))
        case let string as String: return .string(string)
        case let number as NSNumber:
            return String(cString: number.objCType) == "c" ? .boolean(number.boolValue) : .number(number.doubleValue)
        default: return .null
        }
    }

    @Test(arguments: [
        #"{"a": [1, -2.5e3, true, false, null, "x"], "b": {}}"#, #"[]"#, #""\u00e9\ud83d\ude00\n\"\\""#,
        #"  [1 , 2 ]  "#, "0", "-0", "1e5",
        #"{"deep": [[[[[[{"x": []}]]]]]]}"#,
    ])
    func readsWhatFoundationReads(_ text: String) {
        #expect(Self.tree(Array(text.utf8)) == Self.oracle(Array(text.utf8)))
        #expect(Self.tree(Array(text.utf8)) != nil)
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "01", "1.", ".5", "+1", "tru", "nul", "\"abc", "\"\\x\"",
        "\"\\u12\"", "[1 2]",
        "{\"a\":1 \"b\":2}", "1 1", "\"\u{01}\"", "[,1]", "{,}", "-", "1e", "]", "}",
    ])
    func refusesWhatIsNotJSON(_ text: String) { #expect(Self.tree(Array(text.utf8)) == nil) }

    @Test func refusesInvalidUTF8() { #expect(Self.tree([0x22, 0xFF, 0x22]) == nil) }

    @Test func nestingIsBounded() {
        let deep = 10_000
        let text = String(repeating: "[", count: deep) + String(repeating: "]", count: deep)
        #expect(Self.tree(Array(text.utf8)) == nil)
        let allowed = JSONReader.maximumDepth
        let fits = String(repeating: "[", count: allowed) + String(repeating: "]", count: allowed)
        #expect(Self.tree(Array(fits.utf8)) != nil)
    }

    @Test func mutatedDocumentsAgreeWithTheOracle() {
        let seed: UInt64 = 0x7261_696C
        var random = TestRandom(seed: seed)
        let corpus: [String] = [
            #"{"model":"m","messages":[{"role":"user","content":"Hello \u00fc \"quoted\""}],"stream":true,"n":2,"x":[1.5e-3,null]}"#,
            #"[{"a":{"b":{"c":[1,2,3,{"d":"\\\/\b\f\n\r\t"}]}}},"\ud83d\ude00",-12,0.5]"#,
        ]
        var disagreements: [String] = []
        for _ in 0..<20_000 {
            let text = random.mutated(Array(corpus[random.below(corpus.count)].utf8))
            let ours = Self.tree(text)
            let theirs = Self.oracle(text)
            // What both read must be equal. What only Foundation reads must be one of its known laxities; what only we
            // read is a lone surrogate, which we replace.
            if let ours, let theirs, ours != theirs { disagreements.append(String(decoding: text, as: UTF8.self)) }
            if ours == nil, theirs != nil, !Self.isKnownLaxity(text) {
                disagreements.append("refused: " + String(decoding: text, as: UTF8.self))
            }
        }
        #expect(disagreements.isEmpty, "seed \(seed): \(disagreements.prefix(5))")
    }

    /// Foundation accepts byte-order marks, UTF-16, and a comma before the end of a container.
    private static func isKnownLaxity(_ text: [UInt8]) -> Bool {
        if text.starts(with: [0xEF, 0xBB, 0xBF]) || text.contains(0) || String(validating: text, as: UTF8.self) == nil {
            return true
        }
        let dense = text.filter { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
        return zip(dense, dense.dropFirst()).contains {
            $0 == UInt8(ascii: ",") && ($1 == UInt8(ascii: "]") || $1 == UInt8(ascii: "}"))
        }
    }
}
