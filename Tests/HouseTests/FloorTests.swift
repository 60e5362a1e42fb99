import Foundation
import Testing

/// The rule of the house: a target imports only targets on lower floors, and says so in `Package.swift`.
@Suite struct FloorTests {
    @Test func everyDependencyInThePackageIsOnALowerFloor() throws {
        let house = try House.read()
        for room in house.rooms {
            for dependency in room.dependencies {
                guard let floor = house.floor(of: dependency) else { continue }  // a package's product
                #expect(
                    floor < room.floor,
                    "\(room.name) on floor \(room.floor) depends on \(dependency) on floor \(floor)"
                )
            }
        }
    }

    @Test func everyImportIsOfALowerFloorAndDeclared() throws {
        let house = try House.read()
        var importsRead = 0
        for room in house.rooms {
            for (file, imported) in try house.imports(under: "Sources/\(room.name)") {
                guard let floor = house.floor(of: imported) else { continue }
                importsRead += 1
                #expect(floor < room.floor, "\(file) on floor \(room.floor) imports \(imported) on floor \(floor)")
                #expect(
                    room.dependencies.contains(imported),
                    "\(file) imports \(imported), which Package.swift does not declare for \(room.name)"
                )
            }
        }
        #expect(importsRead > 20, "the house was read wrongly: only \(importsRead) imports between rooms were found")
    }

    @Test func everyRoomHasAFloorAndATestRoom() throws {
        let house = try House.read()
        let folders = try FileManager.default.contentsOfDirectory(atPath: house.root + "/Sources").sorted()
        for folder in folders where !folder.hasPrefix(".") {
            #expect(house.floor(of: folder) != nil, "Sources/\(folder) stands on no floor in Package.swift")
        }
        for room in house.rooms where room.floor > 0 && room.floor < House.mainFloor {
            var isFolder: ObjCBool = false
            let path = "\(house.root)/Tests/\(room.name)Tests"
            let exists = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
            #expect(exists && isFolder.boolValue, "\(room.name) has no tests under Tests/\(room.name)Tests")
        }
    }

    /// The check itself must fail when the rule is broken.
    @Test func aClimbingDependencyIsSeen() throws {
        let manifest = """
            let rooms = [
                // floor 1
                room("Cellar", ["Attic"]),
                // floor 2
                room("Attic", []),
            ]
            """
        let house = House(root: "", rooms: House.rooms(in: manifest))
        let cellar = try #require(house.rooms.first { $0.name == "Cellar" })
        #expect(cellar.dependencies == ["Attic"])
        #expect(try #require(house.floor(of: "Attic")) > cellar.floor)
    }
}
