import Testing

@testable import Catalog

@Suite("Built-in catalogue")
struct BuiltInTests {
    @Test("the built-in files are read")
    func reads() throws {
        let catalog = try Catalog(files: Catalog.embeddedFiles)
        #expect(catalog.accelerators.count > 10)
        for m in catalog.models {
            let p = m.publishedParameters?.value ?? 0, a = m.publishedActiveParameters?.value ?? 0
            let d = p > 0 ? (Double(m.parameters) / p - 1) * 100 : 0, e = a > 0 ? (Double(m.activeParameters) / a - 1) * 100 : 0
            print("\(abs(d) > 1 ? "!!" : "  ") \(m.id) \(m.parameters) \(d) active \(m.activeParameters) \(e) kv \(m.keyValueElementsPerToken) \(m.layerGroups.count)")
        }
    }
}
