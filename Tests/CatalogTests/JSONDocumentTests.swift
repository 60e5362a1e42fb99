import Foundation
import Testing

@testable import Catalog

@Suite("JSON")
struct JSONDocumentTests {
    private func parse(_ text: String) throws -> JSONNode { try JSONDocument(parsing: text.utf8, file: "f.json").root }

    @Test("values of every kind")
    func kinds() throws {
        let root = try parse(#"{"a": [1, -2.5e3, true, false, null], "b": "x\n\"\\\u00e9\ud83d\ude00", "c": {}}"#)
        #expect(root[key: "b"]?.value == .string("x\n\"\\é😀"))
        guard case .array(let elements) = root[key: "a"]?.value else {
            Issue.record("no array")
            return
        }
        #expect(elements.map(\.value) == [.number(1), .number(-2500), .boolean(true), .boolean(false), .null])
        #expect(root[key: "c"]?.value == .object([]))
        #expect(root[key: "d"] == nil)
    }

    @Test("Python's words for what JSON lacks")
    func pythonNumbers() throws {
        #expect(try parse("Infinity").value == .number(.infinity))
        #expect(try parse("[-Infinity]").value == .array([JSONNode(value: .number(-.infinity), line: 1)]))
        guard case .number(let number) = try parse("NaN").value else {
            Issue.record("no number")
            return
        }
        #expect(number.isNaN)
    }

    @Test("lines are counted")
    func lines() throws {
        let root = try parse("{\n  \"a\": 1,\n\n  \"b\": [\n 2]}")
        #expect(root.line == 1)
        #expect(root[key: "a"]?.line == 2)
        #expect(root[key: "b"]?.line == 4)
    }

    @Test(
        "what is not JSON is an error",
        arguments: [
            "", " ", "{", "[1,]", "{\"a\" 1}", "{\"a\": 1,}", "{a: 1}", "01", "1.", ".5", "-", "+1", "1e", "tru", "\"",
            "\"\\x\"", "\"\\ud800\"", "\"\\udc00x\"", "1 2", "\"a\nb\"",
            "{\"a\": 1, \"a\": 2}", "\"\\u12\"", "nul", "[1 2]", "]",
        ]
    )
    func malformed(text: String) {
        let error = catalogError { _ = try parse(text) }
        #expect(error?.kind == .malformed, "\(text)")
        #expect(error?.description.hasPrefix("f.json:") == true)
    }

    @Test("deep nesting is an error and no overflow")
    func depth() {
        let error = catalogError { _ = try parse(String(repeating: "[", count: 1_000_000)) }
        #expect(error?.description.contains("deeper") == true)
        #expect(
            catalogError { _ = try parse(String(repeating: "[", count: 60) + String(repeating: "]", count: 60)) } == nil
        )
    }

    @Test("agrees with Foundation on random documents")
    func oracle() throws {
        let seed: UInt64 = 99
        var numbers = SeededNumbers(state: seed)
        for round in 0..<500 {
            let value = random(depth: 0, &numbers)
            let data = try JSONSerialization.data(withJSONObject: ["root": value], options: [.sortedKeys])
            let root = try JSONDocument(parsing: data, file: "f.json").root
            let found = try #require(root[key: "root"])
            #expect(same(found, value), "seed \(seed), round \(round): \(String(decoding: data, as: UTF8.self))")
        }
    }

    private func random(depth: Int, _ numbers: inout SeededNumbers) -> Any {
        switch Int.random(in: 0..<(depth > 3 ? 4 : 6), using: &numbers) {
        case 0: return Double.random(in: -1e6...1e6, using: &numbers)
        case 1: return Int.random(in: -1_000_000...1_000_000, using: &numbers)
        case 2:
            return String(
                (0..<Int.random(in: 0..<6, using: &numbers)).map { _ in
                    "aé\"\\\n/\u{1F600}\t\u{1}".randomElement(using: &numbers)!
                })
        case 3: return Bool.random(using: &numbers)
        case 4: return (0..<Int.random(in: 0..<4, using: &numbers)).map { _ in random(depth: depth + 1, &numbers) }
        default:
            var object: [String: Any] = [:]
            for index in 0..<Int.random(in: 0..<4, using: &numbers) {
                object["k\(index)"] = random(depth: depth + 1, &numbers)
            }
            return object
        }
    }

    private func same(_ node: JSONNode, _ value: Any) -> Bool {
        switch node.value {
        case .array(let nodes):
            guard let values = value as? [Any], values.count == nodes.count else { return false }
            return zip(nodes, values).allSatisfy { same($0, $1) }
        case .object(let members):
            guard let object = value as? [String: Any], object.count == members.count else { return false }
            return members.allSatisfy { member in object[member.key].map { same(member.node, $0) } ?? false }
        case .string(let text): return value as? String == text
        case .boolean(let flag): return value as? Bool == flag
        case .number(let number):
            if let whole = value as? Int { return Double(whole) == number }
            return (value as? Double).map { abs($0 - number) <= abs($0) * 1e-15 } ?? false
        case .null: return false
        }
    }
}
