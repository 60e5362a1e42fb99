//===----------------------------------------------------------------------===//
// Damaged fleet files: whatever is done to a valid one, reading it ends in a fleet or in one error with a place.
//===----------------------------------------------------------------------===//

import Catalog
import Foundation
import StepModel
import Testing

@testable import Fleet

private let folder = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("deploy/fleets")

/// Pseudo-random numbers from a seed (SplitMix64), so that a failure can be run again.
private struct SeededNumbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// Values of kinds and sizes that no key expects.
private let strange = [
    "-1", "0", "1e300", "-0.5", "99999999999999999999", "[]", "{}", "[1, 2]", "{ a: 1 }", "null", "~", "\"\"", "yes",
    "nan", ".inf", "8k", "2026-13-40", "trn2.48xlrage", "llama", "*missing", "&a b", "!!binary x", "'", "\u{0}",
    "\u{FEFF}", "é", String(repeating: "9", count: 400),
]

@Suite struct FleetMutationTests {
    /// One change to one line of a file, or to its order, indentation or length.
    private func changed(_ lines: [String], with numbers: inout SeededNumbers) -> [String] {
        var lines = lines
        let at = Int.random(in: 0..<lines.count, using: &numbers)
        switch Int.random(in: 0..<8, using: &numbers) {
        case 0: lines.remove(at: at)
        case 1: lines.insert(lines[at], at: at)
        case 2: lines.swapAt(at, Int.random(in: 0..<lines.count, using: &numbers))
        case 3: lines[at] = String(repeating: " ", count: Int.random(in: 1...9, using: &numbers)) + lines[at]
        case 4: lines[at] = String(lines[at].drop(while: { $0 == " " }))
        case 5:
            guard let colon = lines[at].firstIndex(of: ":") else { return lines }
            lines[at] = lines[at][...colon] + " " + (strange.randomElement(using: &numbers) ?? "")
        case 6:
            var bytes = Array(lines[at].utf8)
            guard !bytes.isEmpty else { return lines }
            bytes[Int.random(in: 0..<bytes.count, using: &numbers)] = UInt8.random(in: 1...255, using: &numbers)
            lines[at] = String(decoding: bytes, as: UTF8.self)
        default: lines.removeLast(Int.random(in: 0..<lines.count, using: &numbers))
        }
        return lines
    }

    private func files() throws -> [(name: String, lines: [String])] {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".yaml") }
        return try names.sorted().map { name in
            let text = try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
            return (name, text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init))
        }
    }

    @Test func damagedFilesAreReadOrRefusedAtALine() throws {
        let seed: UInt64 = 20
        var numbers = SeededNumbers(state: seed)
        var refused = 0
        for (name, original) in try files() {
            for turn in 0..<150 {
                var lines = original
                for _ in 0..<Int.random(in: 1...3, using: &numbers) where !lines.isEmpty {
                    lines = changed(lines, with: &numbers)
                }
                do {
                    _ = try FleetSpecification(yaml: lines.joined(separator: "\n"), file: "f.yaml")
                } catch {
                    refused += 1
                    let error = try #require(error as? FleetError, "seed \(seed), \(name), \(turn): \(error)")
                    let isPlaced = error.place.file == "f.yaml" && (1...lines.count + 1).contains(error.place.line)
                    #expect(isPlaced, "seed \(seed), \(name), \(turn): \(error)")
                    #expect(!error.message.isEmpty && !error.message.contains("\n"), "seed \(seed), \(name): \(error)")
                }
            }
        }
        #expect(refused > 500)
    }

    @Test func strangeValuesArePlannedOrRefusedAtALine() throws {
        let seed: UInt64 = 21
        var numbers = SeededNumbers(state: seed)
        let (_, original) = try #require(try files().first { $0.name == "h200.yaml" })
        let places = original.indices.filter { original[$0].contains(": ") && !original[$0].hasPrefix("#") }
        for _ in 0..<60 {
            var lines = original
            let at = try #require(places.randomElement(using: &numbers))
            let key = lines[at].prefix { $0 != ":" }
            let value = (strange + ["1", "3", "16", "64", "fp8", "nvfp4", "h100", "trn2.48xlarge", "vllm-neuron"])
                .randomElement(using: &numbers)
            lines[at] = "\(key): \(value ?? "")"
            do {
                let specification = try FleetSpecification(yaml: lines.joined(separator: "\n"), file: "f.yaml")
                _ = try specification.plan(catalog: .builtIn, calibration: .builtIn)
            } catch {
                let placed = try #require(error as? FleetError, "seed \(seed), '\(lines[at])': \(error)")
                #expect(
                    (1...lines.count + 1).contains(placed.place.line), "seed \(seed), '\(lines[at])': \(placed)")
            }
        }
    }
}
